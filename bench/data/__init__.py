"""Datasets: each becomes one uint8 tensor of images grouped by class.

`base` says what a dataset is (`DatasetSource`, `ImageClasses`, `Split`); `folders` resolves where
data is looked for and cached; `cache` keeps decoded tensors in memory-mapped files; `resize` is the
one resizing method; `seeded` draws splits and deformations that no library version changes.
`omniglot` is the real dataset: `omniglot_archives` reads and verifies its archives,
`omniglot_download` fetches them, `torchvision_shim` is the only module that imports torchvision.
`glyphs` is the embedded default: `glyph_fonts` renders the letters of matplotlib's fonts and
`glyph_hand` deforms them as a hand would. `image_folder` is a folder of images by class.
"""
