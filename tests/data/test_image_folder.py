"""A folder of images becomes a dataset: pixels, identity, splits."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.api.dataset import DataFolders, ImageClasses
from bench.data.class_folder import ClassFolder, list_folder
from bench.data.class_splits import split_by_fraction, split_by_list
from bench.data.image_folder import ImageFolder
from bench.errors import BenchError


def save(path: Path, pixels: object, **options: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(pixels, dtype=np.uint8)).save(path, **options)


def load(root: Path, folders: DataFolders, size: int = 2) -> ImageClasses:
    classes = ClassFolder(path=str(root), train=(), val=(), test=())
    return ImageFolder(classes).load(size, folders, lambda told: None)


@pytest.fixture
def grey(tmp_path: Path) -> Path:
    """Two classes, b of two images; the names of classes and files decide the order."""
    root = tmp_path / "grey"
    save(root / "b" / "2.png", [[40, 40], [0, 0]])
    save(root / "b" / "1.png", [[1, 2], [3, 4]])
    save(root / "a" / "1.png", [[9, 9], [9, 9]])
    return root


def test_classes_and_files_are_in_the_order_of_their_names(grey, folders):
    (grey / "a" / "notes.txt").write_text("no image")
    (grey / ".hidden").mkdir()
    data = load(grey, folders)
    assert data.class_names == ("a", "b")
    assert (data.starts.tolist(), data.counts.tolist()) == ([0, 1], [1, 2])
    assert data.images.tolist() == [
        [[[9, 9], [9, 9]]], [[[1, 2], [3, 4]]], [[[40, 40], [0, 0]]],
    ]  # fmt: skip


def test_one_image_in_colour_makes_all_of_them_so(grey, folders):
    save(grey / "a" / "2.png", [[[255, 0, 7], [255, 0, 7]]])  # (1, 2, 3): stretched
    data = load(grey, folders)
    assert data.images.shape == (4, 3, 2, 2)
    assert data.images[0].tolist() == [[[9, 9], [9, 9]]] * 3
    assert data.images[1].tolist() == [[[255] * 2] * 2, [[0] * 2] * 2, [[7] * 2] * 2]


def test_images_of_any_shape_are_averaged_by_area(grey, folders):
    # 2 x 4 to 2 x 2: each target pixel is the mean of two neighbours, half up: (1 + 2) / 2 -> 2
    save(grey / "c" / "wide.png", [[1, 2, 10, 20], [0, 0, 100, 101]])
    assert load(grey, folders).images[3, 0].tolist() == [[2, 15], [0, 101]]


def test_transparent_pixels_are_white_and_16_bits_are_cut_to_8(grey, folders):
    save(grey / "c" / "1.png", [[[50, 0], [50, 255]]] * 2)  # grey and alpha
    Image.fromarray(np.array([[256 * 7 + 200, 65535]] * 2, dtype=np.uint16)).save(
        grey / "c" / "2.png"
    )
    images = load(grey, folders).images[3:]
    assert images[:, 0].tolist() == [[[255, 50]] * 2, [[7, 255]] * 2]


def test_photographs_are_turned_as_the_camera_says(grey, folders):
    exif = Image.Exif()
    exif[0x0112] = 3  # orientation: upside down
    save(grey / "c" / "1.png", [[0, 1], [2, 3]], exif=exif)
    assert load(grey, folders).images[3, 0].tolist() == [[3, 2], [1, 0]]


def test_the_content_is_of_pixels_and_class_names(grey, folders, tmp_path):
    before = load(grey, folders).content
    assert load(grey, folders, size=1).content == before, "the size asked for is not content"
    (grey / "b" / "2.png").rename(grey / "b" / "3.png")
    save(grey / "a" / "1.bmp", [[9, 9], [9, 9]])
    (grey / "a" / "1.png").unlink()
    assert load(grey, folders).content == before, "the same pixels in the same order"
    save(grey / "b" / "1.png", [[1, 2], [3, 5]])
    changed = load(grey, folders)
    assert changed.content != before
    assert changed.images[1, 0].tolist() == [[1, 2], [3, 5]], "not the cached ones"
    (grey / "a").rename(grey / "aa")
    assert load(grey, folders).content not in {before, changed.content}


def test_what_has_not_changed_is_not_decoded_again(grey, folders):
    source, told = ImageFolder(ClassFolder(path=str(grey), train=(), val=(), test=())), []
    for _ in range(2):
        source.load(2, folders, told.append)
    assert told == [f"decoding 3 images of {grey} (once)"]


def test_files_of_one_size_and_time_are_told_apart(tmp_path, folders):
    """Bitmaps have one size, and an archive or a build gives all files one time."""
    for root, value in (("one", 1), ("other", 9)):
        save(tmp_path / root / "a" / "1.bmp", [[value, value], [value, value]])
        os.utime(tmp_path / root / "a" / "1.bmp", ns=(10**18, 10**18))
    one, other = (load(tmp_path / root, folders) for root in ("one", "other"))
    assert (one.images.max().item(), other.images.max().item()) == (1, 9)
    path = tmp_path / "one" / "a" / "1.bmp"
    save(path, [[5, 5], [5, 5]])
    os.utime(path, ns=(10**18, 10**18))
    assert load(tmp_path / "one", folders).images.max().item() == 5


def test_verifying_counts_and_compares_with_the_cache(grey, folders, monkeypatch):
    save(grey / "b" / "3.png", [[1, 2, 3]] * 4)
    whole = ImageFolder(ClassFolder(path=str(grey)))
    content = load(grey, folders).content
    assert whole.verify(folders, print) == (
        f"{grey}: 2 classes, 4 images, 1 to 3 of each; grey, 2 to 3 pixels wide and 2 to 4 high; "
        f"content {content}"
    )
    # Other pixels that no time tells of (a disk that keeps none): only reading it again can tell.
    path = grey / "a" / "1.png"
    monkeypatch.setattr("bench.data.image_folder.fingerprint", lambda _: "the same")
    load(grey, folders)
    save(path, [[8, 8], [8, 8]])
    assert load(grey, folders).content == content
    with pytest.raises(BenchError, match=r"grey differs from what is cached; remove .*folder-2-v1"):
        whole.verify(folders, print)
    for kept in folders.cache.glob("folder-*"):
        kept.unlink()
    assert content not in whole.verify(folders, print)


def test_what_is_left_out_is_counted_and_named(grey, folders):
    save(grey / "b" / "3.TIF", [[5, 5], [5, 5]])
    for name in ("a/notes.txt", "a/list.txt", "b/larch.heic"):
        (grey / name).write_text("no image")
    (grey / "a" / "more").mkdir()
    (grey / "a" / ".DS_Store").write_text("hidden")
    save(grey / "loose.png", [[1]])
    said: list[str] = []
    whole = ImageFolder(ClassFolder(path=str(grey)))
    assert whole.load(2, folders, said.append).images[-1].tolist() == [[[5, 5], [5, 5]]]
    told = whole.verify(folders, print)
    note = (
        f"left out of {grey}: 2 files .txt, 1 folders in those of classes, 1 files .heic, "
        "1 files .png; the first is a/list.txt; images end in .png "
    )
    assert note in told
    assert said[1].startswith(note)


def test_verifying_counts_animations(grey, folders):
    frames = [Image.new("L", (2, 2), value) for value in (1, 2)]
    frames[0].save(grey / "a" / "2.gif", save_all=True, append_images=frames[1:])
    told = ImageFolder(ClassFolder(path=str(grey))).verify(folders, print)
    assert told.endswith("1 files are animations or have pages: the first image is used")


def test_large_images_are_averaged_in_little_memory(grey, folders):
    """12 megapixels, of more pixels than are handled at once; the mean of 0 and 4 is 2."""
    row = np.tile(np.array([0, 4], dtype=np.uint8), 2000)
    Image.fromarray(np.tile(row, (3000, 1))).save(grey / "c.png")
    (grey / "c").mkdir()
    (grey / "c.png").rename(grey / "c" / "1.png")
    assert load(grey, folders).images[-1].tolist() == [[[2, 2], [2, 2]]]


def test_verifying_counts_the_classes_of_each_phase(grey, folders):
    told = ImageFolder(ClassFolder(path=str(grey), train=("b",), test=("a",))).verify(
        folders, print
    )
    assert told.splitlines()[1:] == [
        "  train 1 classes, 2 images, 2 of each", "  val   0 classes",
        "  test  1 classes, 1 images, 1 of each",
    ]  # fmt: skip


def test_all_files_that_cannot_be_read_are_named(grey, folders):
    for number in range(22):
        (grey / "b" / f"bad-{number:02}.png").write_bytes(b"no image")
    for attempt in (
        load,
        lambda *at: ImageFolder(ClassFolder(path=str(at[0]))).verify(at[1], print),
    ):
        with pytest.raises(BenchError) as caught:
            attempt(grey, folders)
        first, *files = str(caught.value).splitlines()
        assert first == f"22 of 25 images of {grey} cannot be read:"
        assert len(files) == 20 + 1
        assert files[0].startswith(f"  cannot read the image {grey}/b/bad-00.png: ")
        assert files[-1] == "  and 2 more"


def test_a_class_whose_name_is_no_utf8_is_told(grey):
    odd = os.fsdecode(os.fsencode(grey) + b"/caf\xe9")
    Path(odd).mkdir()
    Image.new("L", (4, 4)).save(odd + "/0.png")
    with pytest.raises(BenchError, match=r"1 classes .* no UTF-8, the first is b'caf\\xe9'; give"):
        list_folder(grey)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda root: None, "the folder .*images does not exist"),
        (lambda root: root.write_text(""), "the folder .*images does not exist, or is no folder"),
        (lambda root: root.mkdir(), "has no folders; put the images of each class in a folder"),
        (lambda root: save(root / "1.png", [[1]]), "has images, but no folders"),
        (lambda root: (root / "cat").mkdir(parents=True), "has classes without images: cat;"),
        (
            lambda root: save(root / "train" / "cat" / "1.png", [[1]]),
            "has classes without images: train; .*not in folders below them",
        ),
    ],
)
def test_a_folder_without_classes_is_told(tmp_path, make, said):
    make(tmp_path / "images")
    with pytest.raises(BenchError, match=said):
        list_folder(tmp_path / "images")


@pytest.mark.parametrize("damage", [b"no image", b"\x89PNG\r\n\x1a\n", None])
def test_an_image_that_cannot_be_read_is_named(grey, folders, damage):
    broken = grey / "b" / "1.png"
    save(broken, np.random.default_rng(0).integers(0, 256, (50, 50)))
    broken.write_bytes(damage or broken.read_bytes()[:-500])  # None: cut off
    with pytest.raises(BenchError, match=r"cannot read the image .*b/1\.png: "):
        load(grey, folders)
    assert not list(folders.cache.glob("*.npy"))


# -- splits ---------------------------------------------------------------------------------------

NAMES = [f"class {number}" for number in range(10)]


def test_fractions_cut_a_seeded_order():
    parts = split_by_fraction(NAMES, 0.55, 0.2, seed=0)
    # round(5.5) = 6 (to even), round(7.5) = 8
    assert [len(part) for part in parts.values()] == [6, 2, 2]
    assert sorted(name for part in parts.values() for name in part) == NAMES
    assert split_by_fraction(NAMES[::-1], 0.55, 0.2, seed=0) == parts
    assert split_by_fraction(NAMES, 0.55, 0.2, seed=1) != parts


def listed(tmp_path: Path, *rows: str, header: str = "class,split") -> Path:
    path = tmp_path / "split.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_list_names_the_classes_of_each_phase(tmp_path, grey, folders):
    path = listed(tmp_path, "class 3,test", "class 1,train", "", "class 0, val", "class 2,train")
    parts = split_by_list(NAMES, path)
    assert parts == {"train": ["class 1", "class 2"], "val": ["class 0"], "test": ["class 3"]}
    source = ImageFolder(ClassFolder(path=str(grey), train=("b",), val=(), test=("a",)))
    split = source.split("", source.load(2, folders, print))
    assert [part.tolist() for part in split] == [[1], [], [0]]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            ["clas 1,train"],
            r"split\.csv, line 2: no class is called 'clas 1'; did you mean 'class 1",
        ),
        (
            ["class 1,train", "class 2,tets"],
            "line 3: no split is called 'tets'; did you mean 'test'",
        ),
        (
            ["class 1,train", "class 1,test"],
            "line 3: the class 'class 1' is in test, and by line 2",
        ),
        (["class 1,train,x"], "line 2: two columns are wanted, got 3"),
    ],
)
def test_a_mistake_in_a_list_is_told_with_its_line(tmp_path, rows, said):
    with pytest.raises(BenchError, match=said):
        split_by_list(NAMES, listed(tmp_path, *rows))


def test_a_list_has_a_header_and_exists(tmp_path):
    with pytest.raises(BenchError, match="line 1: the header is to be class,split"):
        split_by_list(NAMES, listed(tmp_path, header="class 1,train"))
    with pytest.raises(BenchError, match=r"cannot read the list of classes .*no\.csv: No such"):
        split_by_list(NAMES, tmp_path / "no.csv")


def test_a_class_that_is_gone_is_told(grey, folders):
    source = ImageFolder(ClassFolder(path=str(grey), train=("b",), val=("c",), test=("a",)))
    with pytest.raises(BenchError, match=r"no class in .*grey is called 'c'"):
        source.split("", source.load(2, folders, print))
