"""Sets from other places: class names in a zip or table come out as they were written, or it is said how they were read."""

import json
import struct
import zlib
from pathlib import Path

import pytest

from core.commands.parser import main
from core.config import Preprocessing
from core.data.imports import import_images, imported_sets
from core.data.sets import dataset_info, import_set, prepare_store
from core.data.sources.own_images import list_images
from core.data.store.originals import original_image
from core.errors import InputError
from core.recipes import recipe_named
from core.settings import changed
from tests.fixtures.image_archives import UTF8, Entry, extra, pack, png, unpacked_to

PAIRS = {
    "gbk": ("GBK", "蜜蜂", "蚂蚁"),
    "cp950": ("Big5", "貓", "狗"),
    "cp932": ("Shift-JIS", "ミツバチ", "アリ"),
    "cp437": ("cp437", "café", "Tür"),
    "cp850": ("cp437", "größe", "fête"),
}


def zipped(path: Path, classes: tuple[str, ...], codec: str, **about) -> Path:
    """By Windows: names in its code page, and no word about it."""
    entries = [Entry(f"{name}/{n}.png".encode(codec), png(10 * n + i), **about) for i, name in enumerate(classes) for n in (1, 2)]
    path.write_bytes(pack(entries))
    return path


@pytest.mark.parametrize("codec", PAIRS)
def test_zip_of_another_place_has_the_class_names_that_were_written(tmp_path, codec):
    said, *names = PAIRS[codec]
    layout = list_images(zipped(tmp_path / "set.zip", tuple(names), codec)).layout
    assert layout.class_names == sorted(names)
    assert f"The names in the zip are read as {said}" in layout.summary


def test_flag_and_unicode_path_decide_before_anything_is_found_out(tmp_path):
    flagged = [Entry(f"{name}/1.png".encode(), png(9), flags=UTF8) for name in ("蜜蜂", "Tür")]
    plain = "蚂蚁/1.png".encode("gbk")
    field = extra(0x7075, b"\x01" + struct.pack("<I", zlib.crc32(b"_/2.png")) + "λ/2.png".encode())
    (tmp_path / "set.zip").write_bytes(pack([*flagged, Entry(plain, png(8)), Entry(b"_/2.png", png(7), central_extra=field)]))
    assert list_images(tmp_path / "set.zip").layout.class_names == sorted(["蜜蜂", "Tür", "蚂蚁", "λ"])


def test_utf_8_without_a_flag_is_utf_8_and_nothing_is_said(tmp_path):
    layout = list_images(zipped(tmp_path / "set.zip", ("蜜蜂", "größe"), "utf-8")).layout
    assert layout.class_names == ["größe", "蜜蜂"]
    assert layout.summary == "A folder for each class."


def test_a_name_that_is_utf_8_by_chance_is_read_as_the_others_are(tmp_path):
    assert "陆".encode("gbk").decode("utf-8") == "\N{VULGAR FRACTION ONE HALF}"
    layout = list_images(zipped(tmp_path / "set.zip", ("陆", "蜜蜂", "蚂蚁"), "gbk")).layout
    assert layout.class_names == sorted(["陆", "蜜蜂", "蚂蚁"])


def test_doubtful_names_are_read_otherwise_once_a_person_says_how_and_so_from_then_on(workspace, tmp_path):
    path = zipped(tmp_path / "set.zip", ("好", "坏"), "gbk")
    _, store = import_set(workspace, path)
    assert "read as GBK, but may be Big5: if they look wrong, import it again" in store.meta.layout
    for chosen, names in (("big5", ["疑", "遜"]), ("GBK", ["坏", "好"])):
        wanted = sorted(name.encode("gbk").decode("cp950") for name in ("好", "坏")) if chosen == "big5" else names
        _, store = import_set(workspace, path, names=chosen)
        assert store.meta.class_names == wanted
        assert "but may be" not in store.meta.layout
        assert original_image(store, 0).size == (8, 6)
        config = changed(recipe_named("cifar10-quick").config, {"data.dataset": "set", "preprocessing.size_px": 8})
        assert dataset_info(workspace, config).num_classes == 2
        assert prepare_store(workspace, "set", Preprocessing(size_px=8)).meta.class_names == wanted
    assert imported_sets(workspace)["set"].names == "GBK"
    assert import_images(workspace, path).names == "GBK", "imported again, to see what is new: read as before"
    assert import_images(workspace, path, names="automatic").names == ""


def test_names_that_are_not_written_in_what_was_said_are_refused(tmp_path):
    path = zipped(tmp_path / "set.zip", ("蜜蜂", "蚂蚁"), "gbk")
    with pytest.raises(InputError, match="is not written in UTF-8"):
        list_images(path, "UTF-8")


def test_command_line_says_how_names_were_read_and_can_be_told(workspace, tmp_path, capsys):
    path = str(zipped(tmp_path / "set.zip", ("好", "坏"), "gbk"))
    assert main(["--home", str(workspace.home), "import", path, "--json"]) == 0
    assert "read as GBK, but may be Big5" in json.loads(capsys.readouterr().out)["layout"]
    assert main(["--home", str(workspace.home), "import", path, "--names", "gbk", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layout"].endswith("The names in the zip are read as GBK.")
    assert main(["--home", str(workspace.home), "import", path, "--names", "morse", "--json"]) == 2
    assert "no encoding 'morse'" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_entry_of_before_names_could_be_chosen_is_read(workspace, tmp_path):
    import_images(workspace, zipped(tmp_path / "set.zip", ("a", "b"), "ascii"))
    (file,) = (workspace.datasets / "imported").glob("*.json")
    content = json.loads(file.read_text())
    del content["names"]
    file.write_text(json.dumps(content))
    assert imported_sets(workspace)["set"].names == ""


@pytest.mark.parametrize("codec", ["gbk", "cp950", "cp932", "utf-8-sig", "utf-16", "cp1252"])
def test_table_of_another_place_has_the_class_names_that_were_written(tmp_path, codec):
    first, second = PAIRS.get(codec, ("", "Käfer", "Tür"))[1:]
    table = f"file,label\n1.png,{first}\n2.png,{second}\n3.png,{second}\n".encode(codec)
    root = unpacked_to(tmp_path / "set", {**{f"{n}.png": png(10 * n) for n in (1, 2, 3)}, "labels.csv": table})
    assert list_images(root).layout.class_names == sorted([first, second])


def test_label_files_of_another_place_are_read_in_one_encoding(tmp_path):
    """好 alone is as likely Big5; with the others it is GBK."""
    names = ["好", "坏", "训练", "蚂蚁"]
    contents = {f"{n}.txt": name.encode("gbk") for n, name in enumerate(names)}
    root = unpacked_to(tmp_path / "set", contents | {f"{n}.png": png(10 * n) for n in range(4)})
    assert list_images(root).layout.class_names == sorted(names)


def test_many_names_cost_little(tmp_path):
    entries = [Entry(f"蜜蜂/图片{n}.png".encode("gbk"), b"", False) for n in range(20_000)]
    (tmp_path / "set.zip").write_bytes(pack([*entries, Entry("蚂蚁/1.png".encode("gbk"), png(1))]))
    assert list_images(tmp_path / "set.zip").layout.class_names == sorted(["蜜蜂", "蚂蚁"])
