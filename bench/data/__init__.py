"""Datasets: each becomes one uint8 tensor of images grouped by class.

`bench.api` says what a dataset is (`DatasetSource`, `ImageClasses`, `Split`), keeps decoded tensors
in memory-mapped files (`cached`) and has the one resizing method (`area_average`). Here, `folders`
resolves where data is looked for and cached, and `class_splits` deals out a folder's classes.
`omniglot` and `cifar100` are the real datasets: `omniglot_archives` and `cifar100_archives` read
and verify their archives (`inert_pickle`: without unpickling), `downloads` fetches them,
`torchvision_shim` is the only module that imports torchvision.
`glyphs` is the embedded default: `glyph_fonts` renders the letters of matplotlib's fonts and
`glyph_hand` deforms them as a hand would. `image_folder` is a folder of images by class.
"""
