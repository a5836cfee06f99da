"""Names from other places: the encoding in which names without a word about it are written is found, or said to be doubtful."""

import pytest

from core.errors import InputError
from core.name_encoding import ENCODINGS, IN_TABLES, IN_ZIPS, Reading, checked_encoding, codec_of, likeliest

NAMES = {
    "GBK": ["蜜蜂 蚂蚁", "猫 狗", "训练/猫", "苹果 香蕉", "我的图片", "正常 异常", "裂纹 划痕", "bee蜜蜂", "红 绿", "老虎 狮子"],
    "Big5": ["蜜蜂 螞蟻", "貓 狗", "蘋果 香蕉", "測試 訓練", "正常 異常", "合格 不合格", "心", "紅 綠", "老虎 獅子 大象"],
    "Shift-JIS": ["ミツバチ アリ", "猫 犬", "りんご バナナ", "正常 異常", "東京タワー", "良品 不良品", "桜"],
    "cp437": ["café Tür", "niño", "España", "für Köln", "Bär", "Málaga", "größe é", "crème brûlée", "Äpfel", "Ärger"],
    "cp1252": ["café Tür", "niño", "España", "für Köln", "Bär", "größe é", "Äpfel Bäume", "naïve", "Œuvre", "Ação"],
}
CASES = [(encoding, words) for encoding, lines in NAMES.items() for words in lines]


@pytest.mark.parametrize(("encoding", "words"), CASES)
def test_short_names_are_read_as_they_were_written(encoding, words):
    written = [word.encode(codec_of(encoding)) for word in words.split(" ") if not word.isascii()]
    found = likeliest(written, IN_TABLES if encoding == "cp1252" else IN_ZIPS).encoding
    assert " ".join(name.decode(codec_of(found)) for name in written) == words


def test_two_encodings_that_are_nearly_as_likely_are_both_named():
    assert likeliest(["蜜蜂".encode("gbk")], IN_ZIPS) == Reading("GBK", ("Big5",))
    assert likeliest([name.encode("gbk") for name in ("蜜蜂", "蚂蚁", "苹果")], IN_ZIPS) == Reading("GBK")


def test_of_bytes_that_are_likely_names_in_no_encoding_all_are_named_in_which_they_can_be_read():
    """Russian ones of DOS, of which we know nothing."""
    found = likeliest(["пчела".encode("cp866"), "муравей".encode("cp866")], IN_ZIPS)
    assert len({found.encoding, *found.others}) >= 2


def test_encoding_in_which_one_of_the_names_can_t_be_read_is_not_taken():
    assert likeliest(["蜜蜂".encode("gbk"), b"\xff\xfe"], IN_ZIPS).encoding not in ("GBK", "Big5", "Shift-JIS")


def test_nothing_to_read_is_read():
    assert likeliest([], IN_ZIPS).encoding in IN_ZIPS


@pytest.mark.parametrize("said", [*ENCODINGS, "gbk", "shift_jis", "utf8", "BIG5"])
def test_encodings_are_known_however_people_write_them(said):
    assert checked_encoding(said) in ENCODINGS


def test_no_word_and_the_word_automatic_mean_found_out_and_another_word_is_refused():
    assert checked_encoding("") == checked_encoding("automatic") == ""
    with pytest.raises(InputError, match="no encoding 'rot13'") as refusal:
        checked_encoding("rot13")
    assert "GBK" in refusal.value.hint
