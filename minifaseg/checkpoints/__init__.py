"""Files of weights: what lies where in them, and the networks made of it.

    checkpoint.py     a file or folder, opened: sizes, networks, tokenizer
    layouts.py        where every tensor is: single file, folder, shards, variants
    tensor_names.py   names of tensors: original <-> diffusers
    tokenizer.py      CLIP's tokenizer from its files
    clip_vocabulary.py  ... or from an installed package
    hub.py            what "auto", "sd15" and "cartoon" mean; the Hugging Face cache
    reading.py        an open file, its tensors in any number type
    safe_opening.py   bytes that nobody vouches for: no pickle, no endless header
    other_models.py   how SD 2.x, XL, a LoRA and others are told from SD 1.x
    refusals.py       what is said of a file that cannot be used
    examine.py        what a file has too much and too little, for loading and `inspect`
    contents.py       what inspect prints
    convert.py        from one layout to another
    checksums.py      is this the file that the world calls Stable Diffusion 1.5?
    activations.py    does our network compute on it what the world's computes?
    verify.py         both, printed
    download.py       from the hub into its cache
    command.py        the commands of weights.py
"""
