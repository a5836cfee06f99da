"""What the names of files say: every layout understood, and every file either an image, a label or listed with its reason, once."""

import random
import unicodedata
from collections import Counter

import pytest

from core.data.sources.containers import readable
from core.data.sources.decoding import SUFFIXES
from core.data.sources.label_table import MAX_ROWS, as_text, read_table
from core.data.sources.layout import SPLIT_FOLDERS, Layout, arrange
from core.errors import InputError

TABLE = "file,label\n"


def laid_out(*names: str, texts: dict[str, str | bytes] | None = None) -> Layout:
    contents = {name: text if isinstance(text, bytes) else text.encode() for name, text in (texts or {}).items()}

    def read(name: str, at_most: int) -> bytes:
        if len(contents[name]) > at_most:
            raise InputError("too large", code="picture")
        return contents[name]

    layout = arrange(sorted({*names, *contents}), read)
    check(layout, {*names, *contents})
    return layout


def check(layout: Layout, names: set[str]) -> None:
    """Every file stands in one place: an image of the set, on the list of what is left out, or a table or label that was used."""
    taken, listed = [readable(image.name) for image in layout.images], [entry["file"] for entry in layout.skipped]
    assert not [name for name, count in Counter(taken + listed).items() if count > 1]
    rest = {readable(name) for name in names} - set(taken) - set(listed)
    assert all(name.lower().endswith((".csv", ".tsv", ".txt")) for name in rest)
    assert all(entry["reason"] for entry in layout.skipped)
    assert layout.summary


def found(layout: Layout) -> dict[str, tuple[str, str]]:
    return {image.name: (image.split, image.class_name) for image in layout.images}


def reasons(layout: Layout) -> dict[str, str]:
    return {entry["file"]: entry["reason"] for entry in layout.skipped}


# --- folders


@pytest.mark.parametrize("root", ["", "pets/", "home/me/Downloads/pets/", "Training/", "test/", "train-and-test/"])
@pytest.mark.parametrize("train", ["train", "Train", "TRAINING"])
def test_splits_with_class_folders_are_found_below_any_wrapper(root, train):
    layout = laid_out(
        *(f"{root}{path}" for path in (f"{train}/cat/a.png", f"{train}/dog/b.JPG", "val/cat/c.png", "test/dog/d.png"))
    )
    assert sorted(found(layout).values()) == [("test", "dog"), ("train", "cat"), ("train", "dog"), ("validation", "cat")]
    assert layout.skipped == []


def test_split_folders_within_class_folders_are_splits():
    layout = laid_out("cat/train/a.png", "cat/test/b.png", "dog/train/c.png", "dog/val/d.png", "dog/e.png")
    assert found(layout) == {
        "cat/train/a.png": ("train", "cat"),
        "cat/test/b.png": ("test", "cat"),
        "dog/train/c.png": ("train", "dog"),
        "dog/val/d.png": ("validation", "dog"),
    }
    assert reasons(layout) == {"dog/e.png": "lies outside of the split folders"}


def test_class_called_train_is_a_class():
    """As in sets of vehicles."""
    layout = laid_out("train/a.png", "bus/b.png", "car/c.png")
    assert layout.class_names == ["bus", "car", "train"]
    layout = laid_out("train/train/a.png", "train/bus/b.png", "test/train/c.png", "test/bus/d.png")
    assert found(layout)["test/train/c.png"] == ("test", "train")


def test_split_folders_without_class_folders_are_no_classes():
    with pytest.raises(InputError, match="No images in class folders were found among 2 files"):
        laid_out("train/a.png", "test/b.png")


def test_pictures_beside_the_wrapper_and_beside_classes_are_strays():
    layout = laid_out("preview.png", "pets/cover.png", "pets/cat/a.png", "pets/dog/b.png")
    assert found(layout) == {"pets/cat/a.png": ("train", "cat"), "pets/dog/b.png": ("train", "dog")}
    assert reasons(layout) == dict.fromkeys(["preview.png", "pets/cover.png"], "lies in no class folder")


@pytest.mark.parametrize("suffix", sorted(SUFFIXES))
def test_every_ending_is_taken_in_any_case(suffix):
    layout = laid_out(f"a/1{suffix}", f"b/2{suffix.upper()}", f"b/3{suffix.title()}", f"c/4.tar{suffix}")
    assert len(layout.images) == 4


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "a/.DS_Store",
        "a/Thumbs.db",
        "a/THUMBS.DB",
        "desktop.ini",
        "__MACOSX/a/._1.png",
        "a/._1.png",
        ".git/a/1.png",
        "a/Icon\r",
        "$RECYCLE.BIN/a/1.png",
        "a/@eaDir/1.png",
        "a/.ipynb_checkpoints/1.png",
        "x/__MACOSX/1.png",
    ],
)
def test_what_systems_leave_behind_is_listed_as_that(name):
    layout = laid_out("a/1.png", "b/2.png", name)
    assert layout.class_names == ["a", "b"]
    assert [entry["reason"] for entry in layout.skipped] == ["hidden, or left by an archiver or a file manager"]


@pytest.mark.parametrize(
    "name", ["a/notes.txt", "labels.csv", "a/model.h5", "a/1.png.zip", "a/png", "a/1.svg", "a/clip.mp4", "LICENSE"]
)
def test_what_is_no_picture_is_listed(name):
    layout = laid_out("a/1.png", "b/2.png", "b/3.png", texts={name: ""})
    assert list(reasons(layout)) == [name]
    assert len(layout.images) == 3


def test_class_names_are_composed_readable_and_different():
    twice = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    layout = laid_out(f"train/{twice[0]}/a.png", f"val/{twice[1]}/b.png", "train/\x01/c.png", "train/\x02/d.png", "train/ /e.png")
    assert layout.class_names == sorted([twice[0], "(no name)", "\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER} (2)"])
    names = laid_out("a\x01/1.png", "a\x02/2.png", "a\N{REPLACEMENT CHARACTER} (2)/3.png").class_names
    assert len(set(names)) == 3


@pytest.mark.parametrize("names", [[], ["a.png"], ["notes.md"], ["a/b.txt"], [".a/b.png"]])
def test_nothing_to_find_is_said_with_the_number_of_files(names):
    with pytest.raises(InputError, match=f"among {len(names)} file") as refusal:
        laid_out(*names)
    assert "one folder per class" in refusal.value.hint


# --- label files


def test_pictures_and_labels_apart_as_in_the_tutorial_of_ants_and_bees():
    texts = {}
    for split, number in (("train", 3), ("val", 2)):
        for kind in ("ants", "bees"):
            texts |= {f"data/{split}/{kind}_label/{kind}{n}.txt": kind for n in range(number)}
    images = [name.replace("_label", "_image").replace(".txt", ".jpg") for name in texts]
    layout = laid_out(*images, texts=texts)
    assert Counter(found(layout).values()) == {
        ("train", "ants"): 3,
        ("train", "bees"): 3,
        ("validation", "ants"): 2,
        ("validation", "bees"): 2,
    }
    assert layout.skipped == []
    assert "text file" in layout.summary


@pytest.mark.parametrize(
    ("image", "text"),
    [
        ("a.jpg", "a.txt"),
        ("images/a.jpg", "labels/a.txt"),
        ("images/train/a.jpg", "labels/train/a.txt"),
        ("train/images/a.jpg", "train/labels/a.txt"),
        ("JPEGImages/a.jpg", "Annotations/a.txt"),
        ("train/pics/a.jpg", "train/truth/a.txt"),
        ("set/photos/a.jpg", "set/a.txt"),
        ("x.y/a.b.jpg", "x.y/a.b.txt"),
    ],
)
def test_text_file_of_the_same_stem_is_found_beside_or_apart(image, text):
    other = image.replace("a.jpg", "c.jpg").replace("a.b.", "c.b."), text.replace("a.txt", "c.txt").replace("a.b.", "c.b.")
    layout = laid_out(image, other[0], texts={text: "cat\n", other[1]: "\ufeffdog\r\n\r\n"})
    assert sorted(name for _, name in found(layout).values()) == ["cat", "dog"]


def test_stem_that_stands_for_two_pictures_in_different_folders_is_no_guess():
    texts = {"labels/1.txt": "cat", "labels/2.txt": "dog", "labels/3.txt": "dog"}
    layout = laid_out("one/1.png", "two/1.png", "one/2.png", "two/3.png", texts=texts)
    assert found(layout) == {"one/2.png": ("train", "dog"), "two/3.png": ("train", "dog")}
    assert reasons(layout) == {
        "one/1.png": "has no label file of its own",
        "two/1.png": "has no label file of its own",
        "labels/1.txt": "belongs to no image",
    }


def test_same_stem_in_every_split_is_told_apart_by_the_split():
    texts = {"train/labels/1.txt": "cat", "test/labels/1.txt": "dog"}
    layout = laid_out("train/images/1.png", "test/images/1.png", texts=texts)
    assert found(layout) == {"train/images/1.png": ("train", "cat"), "test/images/1.png": ("test", "dog")}


def test_two_pictures_of_one_stem_in_a_folder_share_their_label():
    layout = laid_out("1.png", "1.jpg", "2.png", texts={"1.txt": "cat", "2.txt": "dog"})
    assert [name for _, name in found(layout).values()] == ["cat", "cat", "dog"]


def test_label_files_with_something_else_in_them_are_said_to_have():
    texts = {"1.txt": "cat", "2.txt": "dog", "3.txt": "cat", "4.txt": "dog", "5.txt": "", "6.txt": "a\nb", "7.txt": "x" * 300}
    texts |= {"8.txt": "x" * 20_000, "readme.txt": "hello"}
    layout = laid_out(*(f"{n}.png" for n in range(1, 9)), texts=texts)
    assert len(layout.images) == 4
    assert reasons(layout) == {
        "5.png": "its label file is empty",
        "6.png": "its label file holds something else than one class name",
        "7.png": "its label file holds something else than one class name",
        "8.png": "its label file can't be read",
        "readme.txt": "belongs to no image",
    }


@pytest.mark.parametrize("content", ["0 0.5 0.5 0.25 0.25", "0 1 2 3 4\n1 2 3 4 5", ""])
def test_boxes_beside_pictures_in_class_folders_are_no_class_names(content):
    layout = laid_out("a/1.png", "b/2.png", texts={"a/1.txt": content, "b/2.txt": content})
    assert layout.class_names == ["a", "b"]
    assert set(reasons(layout)) == {"a/1.txt", "b/2.txt"}


def test_captions_beside_pictures_in_class_folders_are_no_class_names():
    texts = {f"{name}/{n}.txt": f"a photo of {name} number {n}" for name in ("cat", "dog") for n in range(30)}
    layout = laid_out(*(name.replace("txt", "png") for name in texts), texts=texts)
    assert layout.class_names == ["cat", "dog"]
    assert len(layout.skipped) == 60


def test_labels_in_utf_16_and_in_windows_letters_are_read():
    texts = {"1.txt": "Käfer".encode("utf-16"), "2.txt": "Käfer".encode("cp1252"), "3.txt": "Käfer".encode("utf-8-sig")}
    assert laid_out("1.png", "2.png", "3.png", "4.png", texts={**texts, "4.txt": "x"}).class_names == ["Käfer", "x"]
    assert as_text(b"\x81\xff") == "\N{REPLACEMENT CHARACTER}ÿ"


def test_label_files_beside_a_table_that_is_used_are_listed_and_the_other_way_round():
    layout = laid_out("1.png", "2.png", texts={"t.csv": f"{TABLE}1.png,a\n2.png,b", "1.txt": "x", "readme.txt": "y"})
    assert set(reasons(layout)) == {"1.txt", "readme.txt"}
    layout = laid_out("1.png", "2.png", texts={"t.csv": "size,colour,weight\n1,2,3", "1.txt": "a", "2.txt": "b"})
    assert reasons(layout) == {"t.csv": "a table without columns that are called file and label"}


# --- tables


@pytest.mark.parametrize(
    "table",
    [
        "file,label\n1.png,cat\n2.png,dog\n",
        "filename;class\r\n1.png;cat\r\n2.png;dog\r\n",
        "label\timage\ncat\t1.png\ndog\t2.png",
        "1.png,cat\n2.png,dog",
        "id,species\n1,cat\n2,dog",
        "Image Name,Breed,weight\n1.png,cat,7\n2.png,dog,8",
        '"file","label"\n"1.png","cat"\n"2.png","dog"',
        "\ufefffile,label\n1.png,cat\n2.png,dog",
        "\n\nfile,label\n\n1.png,cat\n\n2.png,dog\n\n",
        "file,label\r1.png,cat\r2.png,dog\r",
        "file,label\nC:\\me\\pets\\1.png,cat\n/home/me/2.png,dog",
        "file,label\n./1.png,cat\n2.PNG,dog",
        "n,file,label\n0,1.png,cat\n1,2.png,dog",
        "file,label\n1.png, cat \n2.png,dog,too,many",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_table_of_many_shapes_is_read(table, encoding):
    content = table.removeprefix("\ufeff" if encoding != "utf-8" else "").encode(encoding)
    layout = laid_out("1.png", "2.png", texts={"labels.csv": content})
    assert found(layout) == {"1.png": ("train", "cat"), "2.png": ("train", "dog")}
    assert layout.skipped == []


@pytest.mark.parametrize("place", ["", "images/", "pets/images/"])
def test_rows_name_pictures_from_the_table_s_folder_from_the_top_or_by_the_file_alone(place):
    root = "pets/" if place.startswith("pets") else ""
    for prefix in (place, place.removeprefix(root), "", "/elsewhere/"):
        rows = f"{TABLE}{prefix}1.png,cat\n{prefix}2.png,dog"
        layout = laid_out(f"{place}1.png", f"{place}2.png", texts={f"{root}labels.csv": rows})
        assert sorted(found(layout).values()) == [("train", "cat"), ("train", "dog")]


def test_split_comes_from_a_column_else_the_table_s_name_else_the_folder():
    rows = "file,label,split\n1.png,cat,train\n2.png,dog,TEST\n3.png,dog,val\n4.png,cat,\n"
    layout = laid_out("1.png", "2.png", "3.png", "4.png", texts={"all.csv": rows})
    assert [split for split, _ in found(layout).values()] == ["train", "train", "validation", "test"]
    layout = laid_out("x/1.png", "x/2.png", texts={"train.csv": f"{TABLE}1.png,cat", "test.csv": f"{TABLE}2.png,dog"})
    assert found(layout) == {"x/1.png": ("train", "cat"), "x/2.png": ("test", "dog")}
    layout = laid_out("train/1.png", "val/2.png", texts={"all.csv": f"{TABLE}1.png,cat\n2.png,dog"})
    assert found(layout) == {"train/1.png": ("train", "cat"), "val/2.png": ("validation", "dog")}


def test_rows_that_contradict_one_another_are_believed_neither():
    rows = f"{TABLE}1.png,cat\n1.png,dog\n2.png,cat\n2.png,cat\n3.png,dog\n4.png,\n"
    layout = laid_out("1.png", "2.png", "3.png", "4.png", texts={"labels.csv": rows})
    assert found(layout) == {"2.png": ("train", "cat"), "3.png": ("train", "dog")}
    assert reasons(layout) == {"1.png": "its rows give it different labels", "4.png": "its row has no label"}
    texts = {"train.csv": f"{TABLE}1.png,cat\n2.png,dog\n3.png,dog", "test.csv": f"{TABLE}1.png,cat"}
    assert reasons(laid_out("1.png", "2.png", "3.png", texts=texts)) == {"1.png": "its rows put it into different splits"}


def test_row_of_another_folder_does_not_take_a_picture_that_has_its_own():
    rows = f"{TABLE}train/1.png,cat\ntrain/2.png,dog\nval/2.png,cat\n"
    layout = laid_out("train/1.png", "train/2.png", texts={"labels.csv": rows})
    assert found(layout) == {"train/1.png": ("train", "cat"), "train/2.png": ("train", "dog")}
    assert reasons(layout) == {"labels.csv: val/2.png": "a row for an image that is not here"}


def test_pictures_and_rows_without_the_other_are_listed_once():
    rows = f"{TABLE}1.png,cat\n2.png,dog\n9.png,cat\n9.png,cat\n"
    layout = laid_out("1.png", "2.png", "3.png", texts={"labels.csv": rows})
    assert reasons(layout) == {
        "labels.csv: 9.png": "a row for an image that is not here",
        "3.png": "stands in no row of the table",
    }


def test_rows_without_pictures_are_listed_up_to_a_thousand_and_the_rest_counted():
    rows = TABLE + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(5000))
    layout = laid_out("1.png", "2.png", texts={"labels.csv": rows})
    assert len(layout.skipped) == 1001
    assert layout.skipped[-1] == {"file": "3,998 more rows", "reason": "rows for images that are not here"}


def test_tables_that_are_too_many_are_listed_and_not_read():
    rows = TABLE + "".join(f"{n}.png,{'ab'[n % 2]}\n" for n in range(300_000))
    layout = laid_out("1.png", "2.png", texts={f"{n}.csv": rows for n in range(5)})
    assert len(layout.images) == 2
    assert [name for name, reason in reasons(layout).items() if "more rows than are read" in reason] == ["3.csv", "4.csv"]


def test_table_that_names_few_of_the_pictures_is_listed_and_folders_count():
    layout = laid_out("a/1.png", "a/2.png", "b/3.png", texts={"labels.csv": f"{TABLE}1.png,x"})
    assert layout.class_names == ["a", "b"]
    assert reasons(layout) == {"labels.csv": "names too few of the images"}


def test_names_composed_differently_in_table_and_folder_are_the_same():
    nfc, nfd = unicodedata.normalize("NFC", "é.png"), unicodedata.normalize("NFD", "é.png")
    assert found(laid_out(nfd, "b.png", texts={"t.csv": f"{TABLE}{nfc},x\nb.png,y"}))[nfd] == ("train", "x")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"\n\n , \n", "empty"),
        (b"x" * 200_000, "can be read"),
        (b'"' + b"x" * 200_000, "can be read"),
        (b"a,b,c\n1,2,3", "columns"),
        (b"\n" * (MAX_ROWS + 10), "empty"),
        (b"a,b\n" * (MAX_ROWS + 10), "more rows"),
        (bytes(1000), "columns"),
    ],
)
def test_table_that_is_none_is_refused_in_words(content, says):
    with pytest.raises(InputError, match=says):
        read_table(content)


def test_numbers_of_the_pictures_taken_for_labels_are_refused():
    names = [f"{n}.png" for n in range(10_001)]
    with pytest.raises(InputError, match="10,001 classes were found"):
        laid_out(*names, texts={"t.csv": TABLE + "\n".join(f"{name},{n}" for n, name in enumerate(names))})


# --- any tree


@pytest.mark.parametrize("seed", range(300))
def test_every_file_of_any_tree_stands_in_one_place(seed):
    draws = random.Random(seed)
    parts = [
        *draws.sample(list(SPLIT_FOLDERS), 3),
        "cat",
        "dog",
        "images",
        "labels",
        "cat_image",
        "cat_label",
        ".x",
        "__MACOSX",
        "Ä",
        "\x02",
    ]
    suffixes = [".png", ".PNG", ".jpg", ".txt", ".csv", ".db", "", ".png.txt"]
    names = {
        "/".join([*draws.choices(parts, k=draws.randrange(4)), draws.choice("abcd") + draws.choice(suffixes)])
        for _ in range(draws.randrange(1, 60))
    }
    rows = [
        f"{name},{draws.choice('xyz')},{draws.choice(['', 'train', 'test'])}" for name in sorted(names) if draws.random() < 0.6
    ]
    table = "\n".join(["file,label,split", *rows])
    texts = {
        name: table if name.endswith("csv") else draws.choice(["x", "y", "", "a\nb"])
        for name in names
        if name[-3:] in ("csv", "txt")
    }
    try:
        layout = laid_out(*names, texts=texts)
    except InputError as refusal:
        assert "No images" in str(refusal) or "no training images" in str(refusal)
        return
    assert not any(entry["file"].endswith((".png", ".PNG", ".jpg")) and not entry["reason"] for entry in layout.skipped)
    if (
        not any("table" in entry["reason"] for entry in layout.skipped)
        and "table" not in layout.summary
        and "text file" not in layout.summary
    ):
        assert len(layout.images) + len(layout.skipped) == len(names)
