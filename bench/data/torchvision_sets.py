"""Datasets that torchvision brings, to test on what was learned elsewhere.

None is downloaded without being asked for: `bench data fetch kmnist`. Each is read from the folders
that torchvision itself makes, in the data folder or in the cache. The classes of all parts of a
dataset are put together, for none of its images was learned from.

How many images and classes each has is what its authors say. Of GTSRB torchvision brings the
training images of the online competition, 26,640, and the 12,630 of the final test.
"""

from __future__ import annotations

from bench.data.torchvision_forms import Characters, Parts, Photographs

TRAIN_AND_TEST: Parts = ({"train": True}, {"train": False})
THREE: Parts = ({"split": "train"}, {"split": "val"}, {"split": "test"})


class KMNIST(Characters):
    """Clanuwat et al. 2018, "Deep Learning for Classical Japanese Literature", arXiv:1812.01718."""

    name = "kmnist"
    description = (
        "Kuzushiji-MNIST (Clanuwat et al. 2018): 70,000 cursive Japanese characters of 10 classes, "
        "28x28, to test on; read by torchvision. CC BY-SA 4.0."
    )
    original = "KMNIST"
    folder = "KMNIST"
    known_images = 70_000
    known_classes = 10
    parts = TRAIN_AND_TEST


class EMNIST(Characters):
    """Cohen, Afshar, Tapson, van Schaik 2017, "EMNIST", IJCNN, arXiv:1702.05373: the balanced set.
    Its files have rows and columns exchanged, which is undone."""

    name = "emnist"
    description = (
        "EMNIST, balanced (Cohen et al. 2017): 131,600 handwritten digits and letters of 47 "
        "classes, 28x28, to test on; read by torchvision. Public domain (NIST)."
    )
    original = "EMNIST"
    folder = "EMNIST"
    known_images = 131_600
    known_classes = 47
    parts = tuple({"split": "balanced", **part} for part in TRAIN_AND_TEST)
    transposed = True


class Flowers102(Photographs):
    """Nilsback, Zisserman 2008, "Automated Flower Classification over a Large Number of Classes",
    ICVGIP."""

    name = "flowers102"
    description = (
        "Flowers-102 (Nilsback and Zisserman 2008): 8,189 photographs of 102 kinds of flowers, to "
        "test on; read by torchvision."
    )
    original = "Flowers102"
    folder = "flowers-102"
    known_images = 8_189
    known_classes = 102
    parts = THREE


class DTD(Photographs):
    """Cimpoi, Maji, Kokkinos, Mohamed, Vedaldi 2014, "Describing Textures in the Wild", CVPR."""

    name = "dtd"
    description = (
        "Describable Textures (Cimpoi et al. 2014): 5,640 photographs of 47 textures, to test on; "
        "read by torchvision."
    )
    original = "DTD"
    folder = "dtd"
    known_images = 5_640
    known_classes = 47
    parts = THREE


class GTSRB(Photographs):
    """Stallkamp, Schlipsing, Salmen, Igel 2012, "Man vs. computer", Neural Networks 32."""

    name = "gtsrb"
    description = (
        "German traffic signs (Stallkamp et al. 2012): 39,270 photographs of 43 signs, to test on; "
        "read by torchvision."
    )
    original = "GTSRB"
    folder = "gtsrb"
    known_images = 39_270
    known_classes = 43
    parts = ({"split": "train"}, {"split": "test"})


class EuroSAT(Photographs):
    """Helber, Bischke, Dengel, Borth 2019, "EuroSAT", arXiv:1709.00029."""

    name = "eurosat"
    description = (
        "EuroSAT (Helber et al. 2019): 27,000 satellite photographs of 10 kinds of land, to test "
        "on; read by torchvision. MIT."
    )
    original = "EuroSAT"
    folder = "eurosat"
    known_images = 27_000
    known_classes = 10
    parts = ({},)


class FGVCAircraft(Photographs):
    """Maji, Kannala, Rahtu, Blaschko, Vedaldi 2013, "Fine-Grained Visual Classification of
    Aircraft", arXiv:1306.5151."""

    name = "fgvc-aircraft"
    description = (
        "FGVC-Aircraft (Maji et al. 2013): 10,000 photographs of 100 aircraft, to test on; read by "
        "torchvision. For research only."
    )
    original = "FGVCAircraft"
    folder = "fgvc-aircraft-2013b"
    known_images = 10_000
    known_classes = 100
    parts = ({"split": "trainval"}, {"split": "test"})
