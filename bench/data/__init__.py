"""Datasets: each becomes one tensor of images (or features) grouped by class.

`bench.api` says what a dataset is (`DatasetSource`, `ImageClasses`, `Split`), keeps decoded tensors
in memory-mapped files (`cached`) and has the one resizing method (`area_average`). Here, `folders`
resolves where data is looked for and cached.
`omniglot` and `cifar100` are the real datasets: `omniglot_archives` and `cifar100_archives` read
and verify their archives (`inert_pickle`: without unpickling), `downloads` fetches them,
`torchvision_shim` is the only module that imports torchvision.
`glyphs` is the embedded default: `glyph_fonts` renders the letters of matplotlib's fonts and
`glyph_hand` deforms them as a hand would.

Data of the user's own is a `ClassFolder` (`class_folder`), which `own_data` makes a dataset of: an
`image_folder` or an `array_file`. `class_splits` deals out its classes, `split_files` reads splits
as they are published. Whatever decodes an image or reads a member of an archive goes through
`decoding`, the one door.
"""
