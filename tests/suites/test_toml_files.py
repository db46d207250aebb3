"""Suite files as people have them: what is read, and what is told of the others."""

from __future__ import annotations

import pytest

from bench.errors import BenchError
from bench.suites.toml_files import LARGEST, read_toml


def test_utf_8_is_read_with_and_without_a_mark(tmp_path):
    path = tmp_path / "suite.toml"
    for encoding in ("utf-8", "utf-8-sig"):
        path.write_text('name = "é"\r\n', encoding=encoding)
        assert read_toml(path) == {"name": "é"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'name = "a"\nversion = \n', "not valid TOML: Invalid value (at line 2"),
        (b'name = "a"\nname = "b"\n', "not valid TOML: Cannot overwrite a value (at line 2"),
        (b'name = "\xff"\n', "not valid TOML: 'utf-8' codec can't decode byte 0xff"),
        ('name = "a"'.encode("utf-16"), "not valid TOML: it is in UTF-16; save it as UTF-8"),
        ('name = "a"'.encode("utf-16-be"), "not valid TOML"),
        (b"x = " + b"[" * 5000, "not valid TOML: it is nested too deep"),
        (b"x = " + b"{a=" * 5000, "not valid TOML: it is nested too deep"),
        (b"x = " + b"9" * 4400, "not valid TOML: Exceeds the limit"),
        (b"a\0b", "not valid TOML"),
        (b"#" * (LARGEST + 1), "has more than 1,048,576 bytes"),
    ],
    ids=lambda given: repr(given)[:20],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path, content, said):
    path = tmp_path / "broken.toml"
    path.write_bytes(content)
    with pytest.raises(BenchError) as caught:
        read_toml(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
