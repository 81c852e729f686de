"""Files appear whole or not at all."""

import pytest

from refdiff.files import whole


def test_the_file_appears_when_all_is_written(tmp_path):
    path = tmp_path / "new directory" / "näme with spaces.txt"
    with whole(path) as unfinished:
        unfinished.write_text("all")
        assert not path.exists()
        assert unfinished.suffix == path.suffix
    assert path.read_text() == "all"
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_what_was_there_stays_where_writing_fails(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail():
        with whole(path) as unfinished:
            unfinished.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["file.txt"]


def test_a_directory_is_no_file(tmp_path):
    with pytest.raises(IsADirectoryError, match="is a directory"), whole(tmp_path):
        pass


def test_nothing_written_leaves_nothing(tmp_path):
    with pytest.raises(FileNotFoundError), whole(tmp_path / "file.txt"):
        pass
    assert list(tmp_path.iterdir()) == []
