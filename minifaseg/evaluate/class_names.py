"""The class lists of the data sets.

Per data set a tuple of (the name in its files, the wording for the prompt), in the order of its
label values. The wordings split compounds that people write apart ("tv monitor") and describe the
few names that say nothing by themselves (COCO-Stuff's "solid"); synonyms, which raise scores, are
left out. These are lists only; folder_layouts.py says which pixel value means which class.
"""

Pairs = tuple[tuple[str, str], ...]


def listed(text: str) -> Pairs:
    """"car, tvmonitor = tv monitor" -> (("car", "car"), ("tvmonitor", "tv monitor"))."""
    pairs = []
    for entry in text.split(","):
        words = [word.strip() for word in entry.split("=")]
        pairs.append((words[0], words[-1]))
    return tuple(pairs)


VOC = listed("""aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow,
    diningtable = dining table, dog, horse, motorbike, person, pottedplant = potted plant, sheep,
    sofa, train, tvmonitor = tv monitor""")

# Alphabetical, as mmsegmentation 1.x numbers it. Lists and label maps that start with VOC's 20
# classes (early mmsegmentation 0.x, the data set's own 59_labels.txt) number the same names
# differently and must not be mixed with these.
CONTEXT = listed("""aeroplane, bag, bed, bedclothes = bed clothes, bench, bicycle, bird, boat,
    book, bottle, building, bus, cabinet, car, cat, ceiling, chair, cloth, computer, cow, cup,
    curtain, dog, door, fence, floor, flower, food, grass, ground, horse, keyboard, light,
    motorbike, mountain, mouse, person, plate, platform, pottedplant = potted plant, road, rock,
    sheep, shelves, sidewalk, sign, sky, snow, sofa, table, track, train, tree, truck,
    tvmonitor = tv monitor, wall, water, window, wood""")
# VOC's 20 classes; Context says table.
CONTEXT_THINGS = {"table", *(name for name, _ in VOC)} - {"diningtable"}

# COCO's things by category id. Ten of the ids 1 to 90 were never annotated (12, 26, 29, 30, 45, 66,
# 68, 69, 71, 83); gaps are closed.
COCO = listed("""person, bicycle, car, motorcycle, airplane, bus, train, truck, boat,
    traffic light, fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep,
    cow, elephant, bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee,
    skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard,
    tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich,
    orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed,
    dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven,
    toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush""")

# labelIds 7 to 33: everything but the void labels, including the eight that the usual list of 19
# leaves out.
CITYSCAPES = listed("""road, sidewalk, parking = parking lot, rail track, building, wall, fence,
    guard rail, bridge, tunnel, pole, polegroup = group of poles, traffic light, traffic sign,
    vegetation, terrain, sky, person, rider, car, truck, bus, caravan, trailer, train,
    motorcycle, bicycle""")
# Those whose instances are separate in the data set's own label table.
CITYSCAPES_THINGS = {"person", "rider", "car", "truck", "bus", "caravan", "trailer", "train",
                     "motorcycle", "bicycle"}

COCOSTUFF = listed("""electronic = electronic device, appliance, food-things = food,
    furniture-things = furniture, indoor = household object, kitchen = tableware, accessory,
    animal, outdoor = street furniture, person, sports = sports equipment, vehicle, ceiling,
    floor, food-stuff = fruit and vegetables, furniture-stuff = furnishing,
    raw-material = raw material, textile, wall, window, building, ground, plant, sky,
    solid = rock, structural = fence, water""")

# First and last category id of each thing supercategory. The eleven things without a single
# annotated pixel (those ten and 91, hair brush) have ids inside the range of their own
# supercategory, and count to it: 12 street sign, outdoor; 26 hat, 29 shoe and 30 eye glasses,
# accessory; 45 plate, kitchen; 66 mirror, 68 window, 69 desk and 71 door, furniture; 83 blender,
# appliance; 91, indoor.
COCOSTUFF_THINGS = {"electronic": (72, 77), "appliance": (78, 83), "food-things": (52, 61),
                    "furniture-things": (62, 71), "indoor": (84, 91), "kitchen": (44, 51),
                    "accessory": (26, 33), "animal": (16, 25), "outdoor": (10, 15),
                    "person": (1, 1), "sports": (34, 43), "vehicle": (2, 9)}
COCOSTUFF_STUFF = {
    "ceiling": "ceiling-other ceiling-tile",
    "floor": "carpet floor-marble floor-other floor-stone floor-tile floor-wood",
    "food-stuff": "food-other fruit salad vegetable",
    "furniture-stuff": "cabinet counter cupboard desk-stuff door-stuff furniture-other light "
                       "mirror-stuff shelf stairs table",
    "raw-material": "cardboard metal paper plastic",
    "textile": "banner blanket cloth clothes curtain mat napkin pillow rug textile-other towel",
    "wall": "wall-brick wall-concrete wall-other wall-panel wall-stone wall-tile wall-wood",
    "window": "window-blind window-other",
    "building": "bridge building-other house roof skyscraper tent",
    "ground": "dirt gravel ground-other mud pavement platform playingfield railroad road sand snow",
    "plant": "branch bush flower grass leaves moss plant-other straw tree",
    "sky": "clouds sky-other",
    "solid": "hill mountain rock solid-other stone wood",
    "structural": "cage fence net railing structural-other",
    "water": "fog river sea water-other waterdrops"}


def coarse_labels() -> tuple[int, ...]:
    """The coarse labels, 1 to 27, of the 182 pixel values of COCO-Stuff's label maps.

    A pixel value is a category id minus one. Stuff is numbered by the alphabet, from 92.
    """
    label = {name: i for i, (name, _) in enumerate(COCOSTUFF, start=1)}
    coarse: dict[int, int] = {}
    for name, (first, last) in COCOSTUFF_THINGS.items():
        coarse |= dict.fromkeys(range(first, last + 1), label[name])
    above: dict[str, int] = {}                          # name of a stuff category -> coarse label
    for name, members in COCOSTUFF_STUFF.items():
        above |= dict.fromkeys(members.split(), label[name])
    coarse |= {id: above[member] for id, member in enumerate(sorted(above), start=92)}
    return tuple(coarse[id] for id in range(1, 183))
