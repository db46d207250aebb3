"""In processes of their own: operators, once declared, stay."""

import subprocess
import sys

SHIM = "from bench.data.torchvision_shim import torchvision_datasets as shim\n"


def python(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    ).stdout.strip()


def test_imports_where_operators_are_missing_and_where_not() -> None:
    told = python(
        SHIM + "d = shim(); assert shim() is d; import torch\n"
        "torch.ops.torchvision.nms; print(sorted(d.Omniglot.zips_md5))"
    )
    assert told == "['images_background', 'images_evaluation']"


def test_compiled_operators_are_left_alone() -> None:
    told = python(
        SHIM + "import torch, bench.data.torchvision_shim as s\n"
        "s._loads_operators = lambda spec: True\n"
        "made = []; torch.library.Library = lambda *a: made.append(a)\n"
        "s.importlib.import_module = lambda name: name\n"
        "print(shim(), made, s._declared)"
    )
    assert told == "torchvision.datasets [] []"


def test_nothing_imports_torchvision_before_it_is_needed() -> None:
    told = python(
        "import sys, bench.data.omniglot, bench.data.glyphs, bench.data.torchvision_shim\n"
        "print('torchvision' in sys.modules)"
    )
    assert told == "False"
