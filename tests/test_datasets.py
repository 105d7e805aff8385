"""Data sets in miniature, written as the real ones are: what every pixel value means, and what is refused."""
import numpy as np
import pytest
from PIL import Image

from minifaseg import clean_classes
from minifaseg.cartoon.painter import paint
from minifaseg.cartoon.things import THINGS
from minifaseg.cartoon.twins import COLOURED, TWIN_CLASSES, twins
from minifaseg.cartoon.words import CLASSES
from minifaseg.errors import InputError
from minifaseg.evaluate import class_names, datasets
from minifaseg.evaluate.candidates import Candidates
from minifaseg.evaluate.datasets import NAMES
from minifaseg.images import mask_image

# per data set: its usual folder, list of ids (None: every picture of a folder), picture, label map
PLACES = {"voc": ("VOCdevkit/VOC2012", "ImageSets/Segmentation/val.txt", "JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
          "context59": ("VOCdevkit/VOC2010", "ImageSets/SegmentationContext/val.txt", "JPEGImages/{}.jpg",
                        "SegmentationClassContext/{}.png"),
          "coco-object": ("coco_stuff164k", None, "images/val2017/{}.jpg", "annotations/val2017/{}_instanceTrainIds.png"),
          "cocostuff27": ("coco_stuff164k", None, "images/val2017/{}.jpg", "annotations/val2017/{}.png"),
          "cityscapes27": ("cityscapes", None, "leftImg8bit/val/{1}/{0}_leftImg8bit.png", "gtFine/val/{1}/{0}_gtFine_labelIds.png")}
PLACES["context60"] = PLACES["context59"]
ON_DISK = sorted(PLACES)
ID = {"voc": "2007_000033", "context59": "2008_000002", "context60": "2008_000002", "coco-object": "000000000139",
      "cocostuff27": "000000000139", "cityscapes27": "frankfurt_000000_000294"}
COUNTS = {"voc": (20, 20), "context59": (59, 20), "context60": (59, 20), "coco-object": (80, 80), "cityscapes27": (27, 10),
          "cocostuff27": (27, 12), "cartoon": (26, 14),                     # classes, things
          "cartoon-twins": (166, 154)}
GAPS = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)                             # COCO category ids that nothing was annotated with


def open_dataset(*arguments, **options):
    """The miniatures here are parts of their splits."""
    return datasets.open_dataset(*arguments, partial=True, **options)


def put(folder, name, values, ids=None, picture=None, label=None):
    """Writes the data set below `folder`, each picture with these pixel values as its label map; returns its root."""
    home, listing, pictures, labels = PLACES[name]
    root, ids = folder / home, ids or [ID[name]]
    values = np.asarray(values, np.uint8)
    for id in ids:
        for place, image in ((pictures, picture or Image.new("RGB", values.shape[::-1], (9, 90, 200))),
                             (labels, label or (mask_image(values) if name == "voc" else Image.fromarray(values)))):
            path = root / place.format(id, id.partition("_")[0])
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    if listing:
        (root / listing).parent.mkdir(parents=True, exist_ok=True)
        (root / listing).write_text("".join(f"{id}\n" for id in ids))
    return root


def truth(folder, name, values, **options):
    """What the data set makes of a label map with these pixel values."""
    data = open_dataset(name, put(folder, name, values, **options))
    return data.read(data.ids[0])[1]


def refused(act, *words):
    with pytest.raises(InputError) as e:
        act()
    text = str(e.value)
    assert "\n" not in text
    for word in words:
        assert str(word) in text, text


def opened(name, folder):
    return open_dataset(name, put(folder, name, [[0]]) if name in PLACES else None)


# Names

@pytest.mark.parametrize("name", NAMES)
def test_lists_have_their_length_and_no_name_twice(name, tmp_path):
    data = opened(name, tmp_path)
    assert (len(data.classes), len(data.things)) == COUNTS[name] and data.name == name
    assert len(set(data.file_names)) == len(data.file_names) == len(data.classes)
    assert clean_classes(data.classes) == data.classes                      # fit for a prompt: tidy, and each wording once
    assert set(data.things) <= set(data.classes)
    assert not any(mark in word for word in data.classes for mark in ",;-_")
    with_background = ("voc", "context60", "coco-object", "cartoon", "cartoon-twins")
    assert data.background == (name in with_background)


def test_voc_and_context_spell_compounds_apart(tmp_path):
    both = {"pottedplant": "potted plant", "tvmonitor": "tv monitor"}
    for name, other in (("voc", {"diningtable": "dining table"}), ("context59", {"bedclothes": "bed clothes"})):
        data = opened(name, tmp_path)
        assert {f: c for f, c in zip(data.file_names, data.classes) if f != c} == both | other
    voc = open_dataset("voc", tmp_path)
    assert (voc.file_names[0], voc.file_names[14], voc.file_names[19]) == ("aeroplane", "person", "tvmonitor")


def test_context_is_in_alphabetical_order_not_voc_first(tmp_path):
    for name in ("context59", "context60"):
        data = opened(name, tmp_path)
        assert list(data.file_names) == sorted(data.file_names)
        assert [data.file_names[i - 1] for i in (1, 2, 54, 55, 59)] == ["aeroplane", "bag", "truck", "tvmonitor", "wood"]
        assert "table" in data.things and "person" in data.things and "tree" not in data.things


def test_coco_gaps_are_closed(tmp_path):
    data = opened("coco-object", tmp_path)
    known = {1: "person", 11: "fire hydrant", 13: "stop sign", 25: "giraffe", 27: "backpack", 44: "bottle", 67: "dining table",
             70: "toilet", 72: "tv", 84: "book", 90: "toothbrush"}          # by COCO's own category id
    for category, name in known.items():
        assert data.classes[category - sum(gap < category for gap in GAPS) - 1] == name
    assert data.classes[12 - 1] == "stop sign" and data.classes[80 - 1] == "toothbrush"


def test_cityscapes_follows_label_ids(tmp_path):
    data = opened("cityscapes27", tmp_path)
    known = {7: "road", 8: "sidewalk", 10: "rail track", 11: "building", 18: "polegroup", 24: "person", 26: "car", 33: "bicycle"}
    assert {i: data.file_names[i - 7] for i in known} == known
    assert "rider" in data.things and "traffic light" not in data.things


def test_coarse_labels_of_cocostuff():
    coarse, order = class_names.coarse_labels(), [name for name, _ in class_names.COCOSTUFF]
    assert len(coarse) == 182 and set(coarse) == set(range(1, 28))
    known = {1: "person", 2: "vehicle", 9: "vehicle", 10: "outdoor", 16: "animal", 25: "animal", 33: "accessory", 34: "sports",
             44: "kitchen", 52: "food-things", 62: "furniture-things", 72: "electronic", 78: "appliance", 90: "indoor"}     # things
    known |= {12: "outdoor", 26: "accessory", 29: "accessory", 30: "accessory", 45: "kitchen", 66: "furniture-things",
              68: "furniture-things", 69: "furniture-things", 71: "furniture-things", 83: "appliance", 91: "indoor"}    # never annotated
    known |= {92: "textile", 95: "building", 100: "raw-material", 101: "floor", 103: "ceiling", 106: "sky", 110: "furniture-stuff",
              119: "plant", 120: "water", 122: "food-stuff", 135: "solid", 146: "structural", 149: "ground", 157: "sky",
              161: "furniture-stuff", 169: "plant", 171: "wall", 179: "water", 180: "window", 182: "solid"}             # stuff
    assert {i: order[coarse[i - 1] - 1] for i in known} == known
    things = set(coarse[:91])
    assert things == set(range(1, 13)) and things.isdisjoint(coarse[91:])
    assert [len(members.split()) for members in class_names.COCOSTUFF_STUFF.values()] == [2, 6, 4, 11, 4, 11, 7, 2, 6, 11, 9, 2, 6, 5, 5]


# What pixel values mean

def test_voc_values_stay_and_the_palette_is_not_applied(tmp_path):
    values = np.resize(np.array([*range(21), 255], np.uint8), (11, 14))
    read = truth(tmp_path, "voc", values)
    assert Image.open(tmp_path / "VOCdevkit/VOC2012/SegmentationClass/2007_000033.png").mode == "P"
    assert read.dtype == np.uint8 and (read == values).all()


def test_a_palette_of_two_colours_packed_into_one_bit(tmp_path):
    label = Image.fromarray(np.array([[0, 1, 1], [1, 0, 0]], np.uint8))
    label.putpalette([0, 0, 0, 128, 0, 0])
    assert truth(tmp_path, "voc", [[0] * 3] * 2, label=label).tolist() == [[0, 1, 1], [1, 0, 0]]
    assert (tmp_path / "VOCdevkit/VOC2012/SegmentationClass/2007_000033.png").read_bytes()[24] == 1           # bits per pixel


@pytest.mark.parametrize("name, values, labels", [
    ("context60", range(60), range(60)), ("context59", range(60), [255, *range(1, 60)]),       # reduced once, not twice, not never
    ("coco-object", range(81), range(81)), ("cityscapes27", range(34), [255] * 7 + [*range(1, 28)])])
def test_values_become_labels(tmp_path, name, values, labels):
    assert truth(tmp_path, name, [[*values, 255]]).tolist() == [[*labels, 255]]
    data = open_dataset(name, tmp_path)
    last = data.classes[data.read(data.ids[0])[1][0, -2] - 1]
    assert last == {"coco-object": "toothbrush", "cityscapes27": "bicycle"}.get(name, "wood")


def test_cocostuff_values_are_category_ids_minus_one(tmp_path):
    read = truth(tmp_path, "cocostuff27", [[*range(182), 255]])
    data = open_dataset("cocostuff27", tmp_path)
    assert read[0, :182].tolist() == list(class_names.coarse_labels()) and read[0, 182] == 255
    assert data.classes[read[0, 0] - 1] == "person" and data.file_names[read[0, 181] - 1] == "solid"


def test_the_cartoon_world_is_what_the_painter_paints():
    data = open_dataset("cartoon", seeds=[7, 1003], side=48)
    assert data.classes == data.file_names == CLASSES and data.things == tuple(THINGS) and data.ids == ("7", "1003")
    for id in data.ids:
        image, labels = data.read(id)
        scene = paint(int(id), 48)
        assert image.tobytes() == scene.image.tobytes() and image.size == (48, 48)
        assert labels.dtype == np.uint8 and (labels == scene.labels).all()
    assert open_dataset("cartoon").ids == tuple(str(seed) for seed in range(1000, 1200))


def test_twins_are_a_data_set_of_the_cartoon_world():
    data = open_dataset("cartoon-twins", seeds=[7, 1003], side=48)
    assert data.classes == data.file_names == TWIN_CLASSES and data.things == COLOURED
    for id in data.ids:
        image, labels = data.read(id)
        scene = twins(int(id), 48)
        assert image.tobytes() == scene.image.tobytes() and (labels == scene.labels).all()
        assert set(Candidates("gt", data)(id, image, labels)) == set(scene.classes)
    refused(lambda: open_dataset("cartoon-twins", seeds=[]), "cartoon-twins", "seeds")
    refused(lambda: open_dataset("cartoon-twins", listing="x.txt"), "cartoon-twins", "no list")


# Pictures

def test_the_exif_tag_turns_nothing(tmp_path):
    exif = Image.Exif()
    exif[274] = 6                                                           # a viewer would turn it by 90 degrees
    pixels = np.zeros((32, 48, 3), np.uint8)
    pixels[:16] = 255
    root = put(tmp_path, "voc", np.zeros((32, 48)))
    Image.fromarray(pixels).save(root / "JPEGImages/2007_000033.jpg", quality=95, exif=exif)
    image, labels = open_dataset("voc", root).read("2007_000033")
    assert image.size == (48, 32) and labels.shape == (32, 48)
    assert np.asarray(image)[4, 24].min() > 200 and np.asarray(image)[28, 24].max() < 50

    Image.fromarray(np.zeros((48, 32), np.uint8)).save(root / "SegmentationClass/2007_000033.png")      # upright label, stored picture
    refused(lambda: open_dataset("voc", root).read("2007_000033"), "SegmentationClass", "32 x 48", "48 x 32")


def test_gray_pictures_become_rgb(tmp_path):
    root = put(tmp_path, "coco-object", [[0, 1]], picture=Image.new("L", (2, 1), 77))
    image, _ = open_dataset("coco-object", root).read("000000000139")
    assert image.mode == "RGB" and image.getpixel((1, 0)) == (77, 77, 77)


# Lists and folders

@pytest.mark.parametrize("name", ON_DISK)
def test_the_root_or_a_data_folder_above_it(tmp_path, name):
    root = put(tmp_path / "data", name, [[0]])
    for place in (root, root.parent, tmp_path / "data", str(root)):
        assert open_dataset(name, place).ids == (ID[name],)


def test_a_split_file_keeps_its_order(tmp_path):
    root = put(tmp_path, "voc", [[0]], ids=["b", "a", "c"])
    listing = root / "ImageSets/Segmentation"
    assert open_dataset("voc", root).ids == ("b", "a", "c")
    (listing / "train.txt").write_bytes(b"\xef\xbb\xbfc\r\n\r\na \r\n")      # as an editor on Windows leaves it
    assert open_dataset("voc", root, split="train").ids == ("c", "a")


def test_a_split_folder_is_sorted_and_hidden_files_are_skipped(tmp_path):
    root = put(tmp_path, "coco-object", [[0]], ids=["000000000785", "000000000139"])
    (root / "images/val2017/._000000000139.jpg").write_bytes(b"")
    (root / "images/train2017").mkdir()
    assert open_dataset("coco-object", root).ids == ("000000000139", "000000000785")
    refused(lambda: open_dataset("coco-object", root, split="train"), "train2017", "no pictures")
    cities = ["munster_000000_000019", "frankfurt_000001_000019", "frankfurt_000000_000294"]
    data = open_dataset("cityscapes27", put(tmp_path, "cityscapes27", [[7]], ids=cities))
    assert data.ids == tuple(sorted(cities))
    assert all(data.read(id)[1].tolist() == [[1]] for id in cities)


@pytest.mark.parametrize("name", ON_DISK)
def test_opening_reads_no_picture(tmp_path, name):
    root = put(tmp_path, name, [[0]])
    for path in [*root.rglob("*.png"), *root.rglob("*.jpg")]:
        path.write_bytes(b"no picture")
    data = open_dataset(name, root)
    refused(lambda: data.read(data.ids[0]), root, "not a picture")


# Refusals

@pytest.mark.parametrize("name", ON_DISK)
def test_missing_folders_and_splits_say_what_is_expected(tmp_path, name):
    home, listing, pictures, labels = PLACES[name]
    refused(lambda: open_dataset(name), name, labels.format("*", "*"))
    refused(lambda: open_dataset(name, tmp_path), tmp_path, labels.format("*", "*"), home.split("/")[-1])
    refused(lambda: open_dataset(name, tmp_path / "nowhere"), "nowhere", "no such folder")
    root = put(tmp_path, name, [[0]])
    for split in ("test", "", "*", "../val"):
        refused(lambda: open_dataset(name, root, split=split), root, f"no split {split!r}", "there is: val;")


@pytest.mark.parametrize("name", ON_DISK)
@pytest.mark.parametrize("missing", [2, 3])
def test_a_missing_file_is_named(tmp_path, name, missing):
    data = open_dataset(name, put(tmp_path, name, [[0]]))
    path = tmp_path / PLACES[name][0] / PLACES[name][missing].format(ID[name], "frankfurt")
    path.unlink()
    refused(lambda: data.read(ID[name]), path, "no such file", "expected")


def test_damaged_files_and_unknown_ids(tmp_path):
    root = put(tmp_path, "voc", np.zeros((40, 40)), picture=Image.effect_noise((40, 40), 90))
    data = open_dataset("voc", root)
    refused(lambda: data.read("2007_000099"), "2007_000099", "2007_000033")
    path = root / "JPEGImages/2007_000033.jpg"
    path.write_bytes(path.read_bytes()[:len(path.read_bytes()) // 2])
    refused(lambda: data.read("2007_000033"), path, "again")
    listing = root / "ImageSets/Segmentation/val.txt"
    listing.write_bytes(b"\n \n")
    refused(lambda: open_dataset("voc", root), listing, "no pictures")
    listing.write_bytes(b"\xff\xfe2\x000\x00")
    refused(lambda: open_dataset("voc", root), listing, "list of picture ids")


@pytest.mark.parametrize("name, value", [("voc", 21), ("voc", 254), ("context59", 60), ("context60", 60), ("coco-object", 81),
                                         ("cityscapes27", 34), ("cocostuff27", 182)])
def test_values_beyond_the_classes(tmp_path, name, value):
    data = open_dataset(name, put(tmp_path, name, [[0, value, 255]]))
    path = tmp_path / PLACES[name][0] / PLACES[name][3].format(ID[name], "frankfurt")
    refused(lambda: data.read(ID[name]), path, f"pixel value {value},")


@pytest.mark.parametrize("name", ON_DISK)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "I;16", "1"])
def test_label_maps_of_another_mode(tmp_path, name, mode):
    label = Image.new("RGB", (3, 2), (128, 0, 0))                           # coloured by VOC's palette: the ids are gone
    label = Image.fromarray(np.full((2, 3), 26000, np.uint16)) if mode == "I;16" else label.convert(mode)
    data = open_dataset(name, put(tmp_path, name, [[0] * 3] * 2, label=label))
    path = tmp_path / PLACES[name][0] / PLACES[name][3].format(ID[name], "frankfurt")
    refused(lambda: data.read(ID[name]), path, f"mode {mode[0]}", "P or L")


def test_a_label_map_of_another_size(tmp_path):
    data = open_dataset("cocostuff27", put(tmp_path, "cocostuff27", np.zeros((4, 6)), picture=Image.new("RGB", (6, 5))))
    refused(lambda: data.read(data.ids[0]), "annotations", "6 x 4", "6 x 5")


def test_unknown_data_sets_seeds_and_sides():
    refused(lambda: open_dataset("ade20k"), "'ade20k'", *NAMES)
    for seeds in ([], [1, -1], ["x"], [1.5], 7):
        refused(lambda: open_dataset("cartoon", seeds=seeds), "cartoon", "seeds")
    refused(lambda: open_dataset("cartoon", side=0), "0 x 0")
    refused(lambda: open_dataset("cartoon").read("999"), "'999'")
