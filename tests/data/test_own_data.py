"""Which class reads data of the user's own."""

from __future__ import annotations

import pytest

from bench.data.array_file import ArrayFile
from bench.data.class_folder import ClassFolder
from bench.data.image_folder import ImageFolder
from bench.data.own_data import own_source


@pytest.mark.parametrize(
    ("path", "arrays", "kind"),
    [
        ("x.NPZ", True, ArrayFile),
        ("x", True, ArrayFile),
        ("x.npz", False, ImageFolder),
        ("x.npz", None, ArrayFile),  # as an older version wrote it
        ("x", None, ImageFolder),
    ],
)
def test_what_was_asked_for_decides_and_the_ending_where_it_is_not_said(path, arrays, kind):
    assert type(own_source(ClassFolder(path=path, arrays=arrays))) is kind
