"""Where images of one's own lie, as people say it."""

from core.data.sources.containers import typed_path


def test_path_in_the_quotes_that_windows_copies_is_the_path(tmp_path):
    assert typed_path(f' "{tmp_path}" ') == typed_path(str(tmp_path)) == tmp_path.resolve()
    assert typed_path('a"b').name == 'a"b'
