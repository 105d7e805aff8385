"""Candidates and captions: from truth maps, from files, from tiny random CLIP and BLIP models that transformers itself made and saved."""
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from minifaseg.cartoon.words import tokenizer_files
from minifaseg.errors import InputError
from minifaseg.evaluate.candidates import Candidates, Captions
from minifaseg.evaluate.clip_and_blip import Captioner, ClipTagger

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
ANIMALS = ("cat", "dog", "rabbit", "teddy bear", "cow", "television", "boat")
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] a an of the photo photograph picture cat dog red blue on grass sofa with ##s ##ing , .".split()


@pytest.fixture
def dataset():
    return SimpleNamespace(classes=ANIMALS, file_names=("cat", "dog", "bunny", "teddybear", "cow", "tvmonitor", "boat"),
                           ids=("2007_000033", "b", "c"), background=True)


def truth(*labels):
    """A map with these labels, background and ignored pixels."""
    return np.resize(np.array([0, *labels, 255], np.uint8), (9, 8))


def picture(seed=0, size=(40, 30)):
    """Twelve patches of random colours: fine noise would look the same to any network, whatever the seed."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)).resize(size, Image.NEAREST)


def refused(make, *words):
    """The refusal's text: one line that says these words."""
    with pytest.raises(InputError) as e:
        make()
    assert "\n" not in str(e.value)
    for word in words:
        assert str(word) in str(e.value), str(e.value)


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# Truth maps

def test_gt_is_what_the_truth_map_holds_in_the_data_sets_order(dataset):
    find = Candidates("gt", dataset)
    assert find("a", None, truth(6, 2, 4)) == ("dog", "teddy bear", "television")
    assert find("a", None, truth(1, 7)) == ("cat", "boat")
    assert find("a", None, truth()) == ()                                   # background and ignored pixels only
    refused(lambda: find("2007_000033", None, truth(3, 8)), "2007_000033", "label 8", "7 classes")


def test_gt_and_absent_ones(dataset):
    ids = [f"image {i}" for i in range(60)]
    drawn = {id: Candidates("gt+2", dataset)(id, None, truth(6, 2)) for id in ids}
    assert drawn == {id: Candidates("gt+2", dataset)(id, None, truth(2, 6)) for id in reversed(ids)}
    for names in drawn.values():
        assert len(set(names)) == len(names) == 4 and {"dog", "television"} < set(names)
        assert sorted(names, key=ANIMALS.index) == list(names)
    assert {c for names in drawn.values() for c in names} == set(ANIMALS)   # every absent class has its turn
    assert len(set(drawn.values())) > 5

    for id in ids[:9]:                                                      # each list holds the shorter one; at the end all there are
        lists = [set(Candidates(f"gt+{n}", dataset)(id, None, truth(6, 2))) for n in range(9)]
        assert lists[0] == {"dog", "television"} and all(a <= b for a, b in zip(lists, lists[1:]))
        assert [len(names) for names in lists] == [2, 3, 4, 5, 6, 7, 7, 7, 7]
    assert len(Candidates("gt+3", dataset)("a", None, truth())) == 3


def test_all(dataset):
    assert Candidates("all", dataset)("a", None, truth(3)) == ANIMALS


def test_the_draw_is_the_same_on_every_machine(dataset):
    """Recorded on Linux with numpy 2.4: another draw would be another benchmark."""
    assert Candidates("gt+2", dataset)("2007_000033", None, truth(6, 2)) == ("cat", "dog", "cow", "television")
    assert Candidates("all", dataset, shuffle=1)("2007_000033", None, None) == (
        "teddy bear", "cow", "boat", "television", "dog", "rabbit", "cat")


def test_shuffle_depends_on_its_seed_and_the_id_only(dataset):
    order = lambda seed, id, how="all", labels=(): Candidates(how, dataset, shuffle=seed)(id, None, truth(*labels))
    assert sorted(order(0, "a")) == sorted(ANIMALS)
    assert order(0, "a") == order(0, "a") == order(0, "a", labels=(3,))
    assert len({order(seed, "a") for seed in range(20)}) > 15
    assert len({order(0, f"image {i}") for i in range(20)}) > 15
    for labels in ((6, 2), (1, 3, 5, 7), ()):                               # the same two classes always come in the same order
        kept = {ANIMALS[i - 1] for i in labels}
        assert order(4, "b", "gt", labels) == tuple(c for c in order(4, "b") if c in kept)
    refused(lambda: Candidates("all", dataset, shuffle=-1), "shuffle -1")


# Files

def test_a_file_lists_names_in_either_spelling(dataset, tmp_path):
    path = write(tmp_path / "x.json", {"2007_000033.jpg": ["TVmonitor", "Teddy  Bear", "television"],
                                       "b": "boat, Bunny ,cat,", "c.PNG": []})
    for how in (path, str(path)):
        find = Candidates(how, dataset)
        assert find("2007_000033", None, truth(1)) == ("teddy bear", "television")
        assert find("b", None, None) == ("cat", "rabbit", "boat")
        assert find("b.jpg", None, None) == find("b", None, None)
        assert find("c", None, truth(1)) == ()
    write(path, {"2007_000033": "", "b": " ", "c": [], "d": "dog"})
    assert [Candidates(path, dataset)(id, None, None) for id in (*dataset.ids, "d")] == [(), (), (), ("dog",)]
    write(path, "\ufeff" + json.dumps(dict.fromkeys(dataset.ids, "dog")))   # as Windows editors save it
    assert Candidates(path, dataset)("c", None, None) == ("dog",)


def test_the_prompts_wording_wins_over_another_classs_file_name(tmp_path):
    dataset = SimpleNamespace(classes=("monitor", "screen"), file_names=("screen", "curtain"), ids=("a",), background=True)
    assert Candidates(write(tmp_path / "x.json", {"a": ["screen"]}), dataset)("a", None, None) == ("screen",)


@pytest.mark.parametrize("content, words", [
    ({"b": ["cat"], "c": []}, ["2007_000033", "no entry"]),
    ({"2007_000033": ["cat", "sofa"], "b": [], "c": []}, ["2007_000033", "'sofa'", "teddy bear"]),
    ({"2007_000033": "cat,sofa", "b": [], "c": []}, ["2007_000033", "'sofa'", "teddy bear"]),
    ({"2007_000033": [7], "b": [], "c": []}, ["2007_000033", "names 7"]),
    ({"2007_000033": [""], "b": [], "c": []}, ["2007_000033", "names ''"]),
    ({"2007_000033": {"cat": 1}, "b": [], "c": []}, ["2007_000033", "list of names"]),
    ({"2007_000033": None, "b": [], "c": []}, ["2007_000033", "list of names"]),
    ({"b.jpg": [], "b": ["cat"]}, ["'b'", "twice"]),
    ([["2007_000033", "cat"]], ["not an object"]),
    ('{"2007_000033": ["cat"],', ["not valid JSON"]), ("", ["not valid JSON"]), ("\x00\x01", ["not valid JSON"])])
def test_files_that_are_refused_at_once(dataset, tmp_path, content, words):
    path = write(tmp_path / "x.json", content)
    refused(lambda: Candidates(path, dataset), path, *words)


def test_what_is_no_file_of_candidates(dataset, tmp_path):
    refused(lambda: Candidates(tmp_path, dataset), tmp_path, "cannot be read")
    (tmp_path / "x.json").write_bytes(b"\xff\xfe{\x00}\x00")
    refused(lambda: Candidates(tmp_path / "x.json", dataset), tmp_path / "x.json", "not valid JSON")
    refused(lambda: Candidates(tmp_path / "nowhere.json", dataset), "nowhere.json", "no such file")
    for how in ("gt+", "gt-1", "gt+-1", "gt5", "GT", "everything"):
        refused(lambda: Candidates(how, dataset), how, "gt+N", "JSON file")
    refused(lambda: Candidates("clip", dataset), "openai/clip")
    find = Candidates(write(tmp_path / "x.json", dict.fromkeys(dataset.ids, [])), dataset)
    refused(lambda: find("another", None, None), "x.json", "another")


# CLIP

@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    """A random CLIP in a folder as the hub's have it: the model, preprocessor_config.json in its old form, and the tokenizer's files."""
    from transformers import CLIPConfig, CLIPModel
    folder = tmp_path_factory.mktemp("clip")
    vocab, merges = tokenizer_files()
    write(folder / "vocab.json", vocab)
    write(folder / "merges.txt", merges)
    size = len(json.loads(vocab))
    write(folder / "tokenizer_config.json", {"tokenizer_class": "CLIPTokenizer", "model_max_length": 24, "bos_token": "<|startoftext|>",
                                             **dict.fromkeys(("eos_token", "pad_token", "unk_token"), "<|endoftext|>")})
    write(folder / "preprocessor_config.json", {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32,
                                                "resample": 3, "do_resize": True, "do_center_crop": True, "do_normalize": True,
                                                "image_mean": MEAN, "image_std": STD})
    torch.manual_seed(0)
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    model = CLIPModel(CLIPConfig(text_config=dict(small, vocab_size=size, max_position_embeddings=24, bos_token_id=size - 2,
                                                  eos_token_id=size - 1, pad_token_id=size - 1),
                                 vision_config=dict(small, image_size=32, patch_size=8), projection_dim=16))
    with torch.no_grad():
        for name, p in model.named_parameters():                            # the usual start is too small to tell one picture from another
            p *= 6 if p.ndim > 1 and "projection" not in name else 1
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def kept_by_the_formula(clip_folder):
    """The rule, written plainly on what CLIPModel returns for the picture and all texts at once: (cosines, names)."""
    from transformers import CLIPModel, CLIPProcessor
    processor, model = CLIPProcessor.from_pretrained(clip_folder), CLIPModel.from_pretrained(clip_folder).eval()

    def run(image, classes, template, share):
        inputs = processor(text=[template.format(c) for c in classes], images=image, return_tensors="pt", padding=True)
        with torch.no_grad():
            cos = (model(**inputs).logits_per_image[0] / model.logit_scale.exp()).tolist()
        least, most = min(cos), max(cos)
        return torch.tensor(cos), tuple(c for c, v in zip(classes, cos) if v > least + share * (most - least) or v == most)
    return run


@pytest.fixture(scope="module")
def tag(clip_folder):
    return ClipTagger(clip_folder, ANIMALS)


@pytest.mark.parametrize("share", [0, 0.3, 0.8, 1])
def test_clip_keeps_what_the_formula_keeps(clip_folder, kept_by_the_formula, share):
    tag = ClipTagger(clip_folder, ANIMALS, share=share)
    for seed in range(4):
        cos, kept = kept_by_the_formula(picture(seed), ANIMALS, "a photo of a {}", share)
        assert torch.allclose(tag.similarities(picture(seed)), cos, atol=1e-5)
        assert tag(picture(seed)) == tag(picture(seed)) == kept
        assert len(kept) == {0: len(ANIMALS) - 1, 1: 1}.get(share, len(kept))


def test_clip_looks_at_the_picture_and_the_template(clip_folder, kept_by_the_formula, tag):
    assert tag(picture()) == kept_by_the_formula(picture(), ANIMALS, "a photo of a {}", 0.5)[1]
    assert len({tag(picture(seed)) for seed in range(8)}) > 1
    assert tag(picture().convert("L")) == tag(picture().convert("L").convert("RGB"))
    other = ClipTagger(str(clip_folder), ANIMALS, template="the {} on grass")
    cos, kept = kept_by_the_formula(picture(), ANIMALS, "the {} on grass", 0.5)
    assert torch.allclose(other.similarities(picture()), cos, atol=1e-5) and other(picture()) == kept
    assert not torch.allclose(other.similarities(picture()), tag.similarities(picture()), atol=1e-3)


def test_clip_with_one_class_or_a_name_longer_than_the_prompt(clip_folder):
    assert ClipTagger(clip_folder, ["cow"])(picture()) == ("cow",)
    assert set(ClipTagger(clip_folder, ["cow " * 40, "dog"], share=0)(picture())) <= {"cow " * 40, "dog"}
    assert ClipTagger(clip_folder, ["dog", "dog"], share=0)(picture()) == ("dog",)          # equals: nothing is above the threshold


def test_candidates_by_clip(tag, dataset):
    assert Candidates("clip", dataset, tag)("a", picture(1), None) == tag(picture(1))
    shuffled = Candidates("clip", dataset, tag, shuffle=3)("a", picture(1), None)
    assert shuffled == tuple(c for c in Candidates("all", dataset, shuffle=3)("a", None, None) if c in tag(picture(1)))


def test_clip_refusals(clip_folder, blip_folder, tmp_path):
    refused(lambda: ClipTagger(tmp_path / "nowhere", ANIMALS), tmp_path / "nowhere", "openai/clip")
    refused(lambda: ClipTagger("minifaseg/no-such-model", ANIMALS), "minifaseg/no-such-model", "openai/clip")
    refused(lambda: ClipTagger(tmp_path, ANIMALS), tmp_path, "no config.json", "CLIP")
    refused(lambda: ClipTagger(blip_folder, ANIMALS), blip_folder, "a blip model, not CLIP")
    for share in (-0.1, 1.5, float("nan")):
        refused(lambda: ClipTagger(clip_folder, ANIMALS, share=share), "share")
    refused(lambda: ClipTagger(clip_folder, ANIMALS, template="a photo"), "a photo", "{}")
    refused(lambda: ClipTagger(clip_folder, ANIMALS, device="cuda:99"), "cuda:99")


def test_origins_tell_models_apart_and_not_their_places(clip_folder, blip_folder, tag, tell, dataset,
                                                        tmp_path):
    """Equal for a copy elsewhere, used or not; another for a changed weight, template or share."""
    import shutil
    makers = ((clip_folder, tag, lambda path: ClipTagger(path, ANIMALS)), (blip_folder, tell, Captioner))
    for folder, first, make in makers:
        shutil.copytree(folder, tmp_path / folder.name, dirs_exist_ok=True)
        first(picture())
        other = make(tmp_path / folder.name)
        assert other.origin == first.origin == make(folder).origin
        del other.origin                                                    # it is kept
        with torch.no_grad():
            list(other.model.parameters())[0].view(-1)[-1] += 1
        assert other.origin != first.origin
    assert ClipTagger(clip_folder, ANIMALS, share=0.6).origin != tag.origin
    assert ClipTagger(clip_folder, ANIMALS, template="the {}").origin != tag.origin
    by_clip = Candidates("clip", dataset, tag)
    assert by_clip.origin("a") == Candidates("clip", dataset, tag).origin("b")
    others = [Candidates(how, dataset).origin("a") for how in ("gt", "gt+2", "gt+3", "all")]
    others.append(Candidates("gt", dataset, shuffle=1).origin("a"))
    assert all(others.count(origin) == 1 for origin in others)
    assert Captions(tell).origin("a") == tell.origin and Captions(None).origin("a") is None


def test_half_a_clip_is_refused_not_filled_with_noise(clip_folder, tmp_path):
    """As Stable Diffusion's own text_encoder folder would be."""
    from safetensors.torch import load_file, save_file
    for file in clip_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tensors = {k: v for k, v in load_file(clip_folder / "model.safetensors").items() if not k.startswith("vision_model")}
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    refused(lambda: ClipTagger(tmp_path, ANIMALS), tmp_path, "missing", "vision_model")
    (tmp_path / "model.safetensors").write_bytes(b"half a fi")
    refused(lambda: ClipTagger(tmp_path, ANIMALS), tmp_path)


# BLIP

@pytest.fixture(scope="module")
def blip_folder(tmp_path_factory):
    """A random BLIP in a folder as the hub's have it. Like there, the start id lies behind the tokenizer's own words."""
    from transformers import BlipConfig, BlipForConditionalGeneration
    folder = tmp_path_factory.mktemp("blip")
    write(folder / "vocab.txt", "\n".join(WORDS) + "\n")
    write(folder / "tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512,
                                             "processor_class": "BlipProcessor"})
    write(folder / "preprocessor_config.json", {"image_processor_type": "BlipImageProcessor", "processor_class": "BlipProcessor",
                                                "size": {"height": 32, "width": 32}, "resample": 3, "do_resize": True,
                                                "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
                                                "image_mean": MEAN, "image_std": STD})
    torch.manual_seed(0)
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)
    model = BlipForConditionalGeneration(BlipConfig(
        text_config=dict(small, vocab_size=len(WORDS) + 2, encoder_hidden_size=32, max_position_embeddings=64, pad_token_id=0,
                         bos_token_id=len(WORDS), sep_token_id=3, eos_token_id=2),
        vision_config=dict(small, image_size=32, patch_size=8, initializer_range=0.02), projection_dim=16))
    with torch.no_grad():
        for name, p in model.named_parameters():                            # decided attention, and much of it for the picture
            p *= (30 if "crossattention" in name else 10) if p.ndim > 1 else 1
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tell(blip_folder):
    return Captioner(blip_folder)


@pytest.fixture(scope="module")
def generate(blip_folder):
    """What BLIP's own generate makes of a picture prepared by hand: (prefix's words, all words) as BERT's tokenizer writes them."""
    from transformers import BertTokenizerFast, BlipForConditionalGeneration
    model, words = BlipForConditionalGeneration.from_pretrained(blip_folder).eval(), BertTokenizerFast(str(blip_folder / "vocab.txt"))

    def run(image, prefix=None):
        pixels = np.asarray(image.resize((32, 32), Image.BICUBIC), np.float32) / 255
        pixels = torch.from_numpy(((pixels - MEAN) / STD).astype(np.float32)).permute(2, 0, 1)[None]
        inputs = {k: torch.tensor([v]) for k, v in words(prefix).items() if k != "token_type_ids"} if prefix else {}
        with torch.no_grad():
            out = model.generate(pixel_values=pixels, **inputs, do_sample=False, num_beams=1, max_new_tokens=20)[0].tolist()
        assert out[0] == len(WORDS)
        n = inputs["input_ids"].shape[1] - 1 if prefix else 1
        return words.decode(out[1:n], skip_special_tokens=True), words.decode(out[1:], skip_special_tokens=True)
    return run


def test_blip_says_what_generate_says(tell, generate):
    texts = [tell(picture(seed)) for seed in range(6)]
    assert texts == [generate(picture(seed))[1] for seed in range(6)]
    assert texts[0] == tell(picture(0)) == tell(picture(0).convert("RGBA")) and len(set(texts)) > 2


@pytest.mark.parametrize("prefix", ["a photograph of cat", "A  Photograph of TV", "the red dog, a cat."])
def test_blip_goes_on_from_a_prefix(tell, generate, prefix):
    tidied, texts = " ".join(prefix.split()), [tell(picture(seed), prefix) for seed in range(4)]
    for seed, text in enumerate(texts):
        head, whole = generate(picture(seed), prefix)
        assert whole.startswith(head) and text == tidied + whole[len(head):]
    assert len(set(texts)) > 1


def test_blip_may_go_on_inside_the_last_word(blip_folder):
    tell = Captioner(blip_folder)
    tell.model.text_decoder.get_output_embeddings().bias.data[WORDS.index("##s")] += 1000       # it can say nothing else now
    assert tell(picture(), "A photo of the CAT") == "A photo of the CAT" + 20 * "s"


def test_blip_refusals(clip_folder, tmp_path):
    refused(lambda: Captioner(tmp_path / "nowhere"), tmp_path / "nowhere", "Salesforce/blip")
    refused(lambda: Captioner("minifaseg/no-such-model"), "minifaseg/no-such-model", "BLIP")
    refused(lambda: Captioner(clip_folder), clip_folder, "a clip model, not BLIP")


def test_folders_saved_by_transformers_today(tag, tell, tmp_path):
    """Its newer versions keep the processor in other files than the hub's older repositories have."""
    for source, name in ((tag, "clip"), (tell, "blip")):
        source.model.save_pretrained(tmp_path / name)
        source.processor.save_pretrained(tmp_path / name)
    assert torch.equal(ClipTagger(tmp_path / "clip", ANIMALS).similarities(picture(2)), tag.similarities(picture(2)))
    assert Captioner(tmp_path / "blip")(picture(), "the cat") == tell(picture(), "the cat")


# Captions

def test_no_captions():
    for captions in (Captions(), Captions(None), Captions("none")):
        assert captions("a", picture()) is None and captions.continuations("a", picture(), ANIMALS) is None


def test_captions_from_a_file(tmp_path):
    path = write(tmp_path / "x.json", {"2007_000033.jpg": "a cat on a sofa", "b": "", "c": "zwölf Boote"})
    for captions in (Captions(path), Captions(str(path))):
        assert [captions(id, None) for id in ("2007_000033", "b", "c")] == ["a cat on a sofa", "", "zwölf Boote"]
        assert captions.continuations("c", None, ["boat"]) is None
    refused(lambda: captions("2007_000034", None), path, "2007_000034")
    refused(lambda: captions.continuations("2007_000034", None, ["cat"]), path, "2007_000034")


def test_captions_per_class_from_a_file(tmp_path):
    path = write(tmp_path / "x.json", {"a": {"Cat": "a photograph of cat on a sofa", "dog": "a photograph of dog"}, "b.jpg": {}})
    captions = Captions(path)
    assert captions.continuations("a", None, ("dog", "cat")) == {"dog": "a photograph of dog", "cat": "a photograph of cat on a sofa"}
    assert captions.continuations("a", None, ["cat"]) == {"cat": "a photograph of cat on a sofa"}
    assert captions.continuations("b", None, ()) == {} and captions("a", None) is None
    refused(lambda: captions.continuations("a", None, ["cat", "teddy bear"]), path, "'a'", "teddy bear")


def test_captions_by_blip(tell):
    captions = Captions(tell)
    assert captions("a", picture(1)) == captions("b", picture(1)) == tell(picture(1))
    assert captions.continuations("a", picture(1), ["cat", "TV"]) == {c: tell(picture(1), f"a photograph of {c}") for c in ("cat", "TV")}
    assert captions.continuations("a", picture(), ["red dog"], "the {} on")["red dog"] == tell(picture(), "the red dog on")
    refused(lambda: captions.continuations("a", picture(), ["cat"], "a photograph"), "a photograph", "{}")


@pytest.mark.parametrize("content, words", [
    ({"a": ["a cat"]}, ["'a'", "neither a text"]), ({"a": None}, ["'a'", "neither a text"]), ({"a": {"cat": 1}}, ["'a'", "neither a text"]),
    ({"a": "x", "a.png": "y"}, ["'a'", "twice"]), (["a cat"], ["not an object"]), ("a cat", ["not valid JSON"])])
def test_caption_files_that_are_refused(tmp_path, content, words):
    path = write(tmp_path / "x.json", content)
    refused(lambda: Captions(path), path, *words)
    refused(lambda: Captions(tmp_path / "nowhere.json"), tmp_path / "nowhere.json", "cannot be read")
