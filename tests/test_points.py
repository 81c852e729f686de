"""The user's own points: what is read, what is refused and in which words, and that nothing is lost on the way."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from refdiff.points import load, restore, save, standardize

finite = st.floats(allow_nan=False, allow_infinity=False)
tables = arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=finite)
same_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)


@pytest.fixture
def csv(tmp_path):
    """Return a function that writes text or bytes to points.csv and returns its path."""

    def write(content):
        path = tmp_path / "points.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture
def npy(tmp_path):
    """Return a function that puts an array into points.npy as NumPy would, pickling if need be."""

    def write(array):
        path = tmp_path / "points.npy"
        np.save(path, array, allow_pickle=True)
        return path

    return write


def refused(path, *, match):
    """Check that the file is refused by a ValueError of one line, which names the file."""
    with pytest.raises(ValueError, match=match) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))


# ---- .csv: what is read


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,-4.5e-3\n",
        "1,2\n3,-4.5e-3",
        "x,y\n1,2\n3,-4.5e-3\n",
        '"x, in mm","y"\n"1","2"\n3,-4.5e-3\n',
        "\n# made by hand\nx_1, x_2 # names\n\n1, 2 # first\n   \n3,\t-4.5e-3\n#end\n".replace("\t", " "),
        "1;2\n3;-4.5e-3\n",
        "1\t2\n3\t-4.5e-3\n",
        "  1   2\n3 -4.5e-3  \n",
        "# x y\n1 2\n3 -.0045\n",
        "1,2\r\n3,-4.5e-3\r\n",
        "1,2\r3,-4.5e-3\r",
        b"\xef\xbb\xbf1,2\n3,-4.5e-3\n",
        b"\xef\xbb\xbfl\xc3\xa4nge,breite\n1,2\n3,-4.5e-3\n",
    ],
)
def test_the_same_points_in_each_accepted_spelling(csv, text):
    points = load(csv(text))
    assert points.dtype == np.float64
    np.testing.assert_array_equal(points, [[1, 2], [3, -0.0045]])


def test_one_column_and_many_columns_are_points_too(csv):
    np.testing.assert_array_equal(load(csv("height\n1\n2\n3\n")), [[1], [2], [3]])
    np.testing.assert_array_equal(load(csv(",".join("123456789"))), [np.arange(1, 10)])


def test_path_may_be_a_string_and_the_suffix_in_capitals(csv):
    path = csv("1,2\n")
    os.rename(path, path.with_suffix(".CSV"))
    np.testing.assert_array_equal(load(str(path.with_suffix(".CSV"))), [[1, 2]])


# ---- .csv: what is refused


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("x,y\n1,2\n\n# c\n3,4\n5,6\n7,8,9\n", r"points.csv line 7: 3 columns where line 2 has 2\.$"),
        ("1,2\n3\n", r"line 2: 1 column where line 1 has 2\.$"),
        ("1 2\n3,4\n", r"line 2: 1 column where line 1 has 2"),
        ("1,2\n3;4\n", r"line 2: 1 column where line 1 has 2"),
        ("1,2\n3,abc\n", r"line 2, column 2: 'abc' is not a number\.$"),
        ("x,y\n1,2\nx,y\n", r"line 3, column 1: 'x' is not a number"),
        ("1,x\n3,4\n", r"line 1, column 2: 'x' is not a number"),
        ("1,2\n3,1_0\n", r"line 2, column 2: '1_0' is not a number"),
        ('1,2\n3,12"\n', r"line 2, column 2: '12\"' is not a number"),
        ("1,5;2,5\n", r"line 1, column 1: '1,5' is not a number\. The decimal sign is a point\.$"),
        ("1,5\t2,5\n", r"line 1, column 1: '1,5' is not a number"),
        ("1,2\n3,\n", r"line 2, column 2: empty"),
        ("1,2,\n3,4,\n", r"line 1, column 3: empty"),
        ("1\t\t2\n", r"line 1, column 2: empty"),
        (",x,y\n0,1,2\n", r"line 1, column 1: empty.*an index without a name"),
        ("1,2\n3,nan\n", r"line 2, column 2: 'nan' is not finite\.$"),
        ("nan,nan\n3,4\n", r"line 1, column 1: 'nan' is not finite"),
        ("1,2\n-inf,3\n", r"line 2, column 1: '-inf' is not finite"),
        ("1,2\n1e999,3\n", r"line 2, column 1: '1e999' is not finite"),
        ("1\n" + "z" * 99, r"line 2, column 1: 'z{40}\.\.\.' is not a number"),
        ("", "is empty"),
        ("\n # nothing\n\n", "is empty"),
        ("\n x,y \n", "holds only a header, in line 2, and no points"),
        (b"\xff\xfe1\x00,\x002\x00", "is not UTF-8 text"),
        (b"1,2\n\x93\x94,3\n", "is not UTF-8 text"),
        (b"1,2\n3\x00,4\n", r"line 2, column 1: '3\\x00' is not a number"),
    ],
)
def test_a_bad_csv_file_is_refused_with_line_and_column(csv, text, match):
    refused(csv(text), match=match)


@same_directory
@given(content=st.binary(max_size=40) | st.text('0123456789.,;\t \n\r#eEnaif+-_x"', max_size=40).map(str.encode))
def test_any_bytes_in_a_csv_file_are_finite_points_or_a_value_error(csv, content):
    path = csv(content)
    try:
        points = load(path)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert points.ndim == 2
        assert points.size
        assert np.isfinite(points).all()


# ---- .npy


@pytest.mark.parametrize("dtype", ["f8", ">f8", "f4", "f2", "i8", "u1", "longdouble"])
def test_npy_numbers_of_each_real_type_become_float64(npy, dtype):
    points = load(npy(np.array([[1, 2], [3, 4], [5, 6]], dtype)))
    assert points.dtype == np.float64
    assert points.dtype.isnative
    np.testing.assert_array_equal(points, [[1, 2], [3, 4], [5, 6]])


def test_npy_vector_is_a_column_and_memory_order_does_not_show(npy):
    np.testing.assert_array_equal(load(npy(np.arange(3))), [[0], [1], [2]])
    points = load(npy(np.asfortranarray(np.arange(6.0).reshape(3, 2))))
    assert points.flags.c_contiguous
    np.testing.assert_array_equal(points, [[0, 1], [2, 3], [4, 5]])


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((2, 2, 2)), r"must have shape \(n, d\); got \(2, 2, 2\)"),
        (np.float64(3), r"must have shape \(n, d\); got \(\)"),
        (np.zeros((0, 2)), r"at least one row and one column; got shape \(0, 2\)"),
        (np.zeros((2, 0)), r"at least one row and one column; got shape \(2, 0\)"),
        (np.zeros(0), r"at least one row and one column; got shape \(0, 1\)"),
        (np.array([[0.0, 1.0], [2.0, np.nan]]), r"must be finite; got nan at \[1, 1\]"),
        (np.array([[0.0, -np.inf], [2.0, np.nan]]), r"must be finite; got -inf at \[0, 1\]"),
        (np.zeros((2, 2), complex), "must be real numbers; got dtype complex128"),
        (np.zeros((2, 2), bool), "must be real numbers; got dtype bool"),
        (np.zeros(2, [("x", float), ("y", float)]), "must be real numbers; got dtype"),
        (np.array([["1", "2"]]), "must be real numbers; got dtype <U1"),
        (np.array([["2020-01-01"]], "M8[D]"), "must be real numbers; got dtype datetime64"),
        (np.array([[1, None]], object), "is not a whole .npy file of numbers: Object arrays cannot be loaded"),
    ],
)
def test_an_npy_file_that_holds_no_points_is_refused(npy, array, match):
    refused(npy(array), match=match)


@pytest.mark.skipif(np.finfo(np.longdouble).max == np.finfo(np.float64).max, reason="long double is float64 here")
def test_a_long_double_beyond_float64_is_refused(npy):
    refused(npy(np.array([[np.longdouble("1e4000")]])), match="must be finite; got inf")


def test_a_pickle_named_npy_is_refused_and_not_run(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run"),)

    path = tmp_path / "points.npy"
    path.write_bytes(pickle.dumps(Payload()))
    refused(path, match="is not a whole .npy file")
    np.save(path, np.array([Payload()], object), allow_pickle=True)
    refused(path, match="is not a whole .npy file")
    assert not (tmp_path / "run").exists()


def test_an_npz_archive_named_npy_is_refused(tmp_path):
    path = tmp_path / "points.npy"
    with open(path, "wb") as file:
        np.savez(file, x=np.zeros((2, 2)))
    refused(path, match="is not a whole .npy file")


def test_an_npy_file_cut_or_grown_at_any_byte_is_refused(npy):
    path = npy(np.arange(6.0).reshape(3, 2))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path, match="is not a whole .npy file")
    path.write_bytes(whole + b"\0")
    refused(path, match=r"it goes on after the array of shape \(3, 2\)")


@pytest.mark.filterwarnings("ignore")  # NumPy warns of headers that look like Python 2; only the outcome counts here
@same_directory
@given(position=st.integers(0, 127), byte=st.integers(0, 255))
def test_a_damaged_npy_header_gives_points_or_a_value_error(npy, position, byte):
    path = npy(np.arange(6.0).reshape(3, 2))
    content = bytearray(path.read_bytes())
    content[position] = byte
    path.write_bytes(content)
    try:
        points = load(path)
    except ValueError as error:
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert np.isfinite(points).all()


def test_a_header_that_promises_more_than_memory_holds_is_refused(tmp_path):
    path = tmp_path / "points.npy"
    with open(path, "wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**15, 2)}
        np.lib.format.write_array_header_1_0(file, header)
    refused(path, match="is not a whole .npy file")


# ---- paths


def test_missing_files_directories_and_unknown_suffixes_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.csv does not exist\.$"):
        load(tmp_path / "none.csv")
    refused(tmp_path, match="is a directory; a .csv or .npy file is needed")
    (tmp_path / "points.txt").write_text("1,2\n")
    refused(tmp_path / "points.txt", match=r"must end in .csv or .npy; got suffix '.txt'")
    (tmp_path / "points").write_text("1,2\n")
    refused(tmp_path / "points", match=r"must end in .csv or .npy; got suffix ''")
    save(tmp_path / "none" / "points.csv", [[1.0]])
    assert load(tmp_path / "none" / "points.csv").tolist() == [[1.0]]
    with pytest.raises(ValueError, match="is a directory"):
        save(tmp_path, [[1.0]])
    with pytest.raises(ValueError, match=r"must end in .csv or .npy"):
        save(tmp_path / "points.txt", [[1.0]])


# ---- save


@same_directory
@given(points=tables, suffix=st.sampled_from([".csv", ".npy"]))
def test_what_is_saved_is_loaded_bit_by_bit(tmp_path, points, suffix):
    path = tmp_path / f"points{suffix}"
    save(path, points)
    assert load(path).tobytes() == points.tobytes()
    assert os.listdir(tmp_path) == [path.name] or len(os.listdir(tmp_path)) == 2
    assert not list(tmp_path.glob(".*"))


def test_csv_text_is_plain_and_exact(tmp_path):
    save(tmp_path / "points.csv", [[0.1, 1 / 3], [-0.0, 1e300]])
    assert (tmp_path / "points.csv").read_bytes() == b"0.1,0.3333333333333333\n-0.0,1e+300\n"


@pytest.mark.parametrize("suffix", [".csv", ".npy"])
@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, suffix, call, fault):
    path = tmp_path / f"points{suffix}"
    save(path, [[1.0, 2.0]])

    def fail(*_):
        raise fault

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(fault)):
        save(path, [[3.0, 4.0]])
    assert os.listdir(tmp_path) == [path.name]
    np.testing.assert_array_equal(load(path), [[1, 2]])


def test_a_file_is_never_seen_half_written(tmp_path, monkeypatch):
    path = tmp_path / "points.csv"
    save(path, [[1.0, 2.0]])
    seen, fsync = [], os.fsync

    def look(descriptor):
        seen.append(path.read_text())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", look)
    save(path, [[3.0, 4.0]])
    assert seen == ["1.0,2.0\n"]
    assert path.read_text() == "3.0,4.0\n"


@pytest.mark.skipif(os.name != "posix", reason="umask")
def test_a_saved_file_has_the_permissions_of_any_new_file(tmp_path):
    save(tmp_path / "points.csv", [[1.0]])
    (tmp_path / "other").touch()
    assert (tmp_path / "points.csv").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("function", [standardize, lambda points: save("unwritten.csv", points)])
def test_points_that_are_not_a_finite_table_are_refused(function):
    for points, match in [
        ([1.0, 2.0], r"points must have shape \(n, d\); got \(2,\)\. For d = 1, add the axis: points\[:, None\]\.$"),
        (np.zeros((1, 2, 3)), r"must have shape \(n, d\)"),
        (np.zeros((0, 2)), "at least one row"),
        ([[1.0, np.nan]], r"must be finite; got nan at \[0, 1\]"),
    ]:
        with pytest.raises(ValueError, match=match):
            function(points)
    for points in ([[1j]], [["a"]], [[None]], [[1], [2, 3]], np.ma.zeros((2, 2))):
        with pytest.raises(TypeError, match="points must be"):
            function(points)
    assert not os.path.exists("unwritten.csv")


# ---- units


@settings(deadline=None)
@given(
    points=arrays(
        np.float64, st.tuples(st.integers(2, 9), st.integers(1, 3)), elements=st.integers(-99, 99), unique=True
    ),
    scale=st.sampled_from([1e-290, 1e-3, 1.0, 1e9, 1e306]),
    offset=st.sampled_from([0, 1, -1000]),
)
def test_standardised_columns_have_mean_0_and_variance_1_at_any_scale_and_restore_gives_them_back(
    points, scale, offset
):
    points = scale / 1e4 * (points + offset)
    standardized, mean, std = standardize(points)
    np.testing.assert_allclose(standardized.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(standardized.var(axis=0), 1, rtol=1e-12)
    np.testing.assert_allclose(restore(standardized, mean, std), points, rtol=1e-13, atol=1e-13 * np.abs(points).max())


def test_mean_and_std_are_in_the_units_of_the_points_and_the_variance_divides_by_n():
    points = np.array([[1.0, 100.0], [2.0, 300.0], [6.0, 500.0]])
    before = points.copy()
    standardized, mean, std = standardize(points)
    np.testing.assert_allclose(mean, [3, 300], rtol=1e-15)
    np.testing.assert_allclose(std**2, [14 / 3, 80000 / 3], rtol=1e-14)
    np.testing.assert_allclose(standardized, (points - mean) / std, rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(points, before)


def test_a_small_spread_on_a_large_offset_keeps_its_digits():
    offset, spread = 2.0**40, np.array([[0.0], [1.0], [3.0]])
    standardized, _, std = standardize(offset + spread)
    np.testing.assert_allclose(std, spread.std(), rtol=1e-15)
    np.testing.assert_allclose(standardized, (spread - spread.mean()) / spread.std(), rtol=1e-14)


def test_the_largest_floats_do_not_overflow():
    points = np.array([[1.5e308, -1.7e308], [1.7e308, 1.7e308]])
    standardized, mean, std = standardize(points)
    np.testing.assert_allclose(standardized, [[-1, -1], [1, 1]], rtol=1e-15)
    np.testing.assert_allclose(mean, [1.6e308, 0], rtol=1e-15)
    np.testing.assert_allclose(std, [0.1e308, 1.7e308], rtol=1e-14)


def test_a_constant_column_is_refused_by_its_number():
    with pytest.raises(ValueError, match=r"column 2 is constant \(0\.1\)\. It has no spread to learn; drop it\.$"):
        standardize([[1.0, 0.1], [2.0, 0.1], [3.0, 0.1]])
    with pytest.raises(ValueError, match=r"column 1 is constant \(5\.0\)\. One point has no spread\.$"):
        standardize([[5.0, 6.0]])


def test_restore_takes_whole_chains_and_refuses_what_does_not_fit():
    np.testing.assert_array_equal(restore(np.ones((4, 3, 2)), [0.0, 1.0], [1.0, 2.0])[3, 2], [1, 3])
    for points, mean, std in [
        (np.ones((3, 2)), [0.0], [1.0]),
        (np.ones((3, 2)), 0.0, 1.0),
        (np.ones((3, 2)), [0.0, 0.0], [1.0]),
        (np.ones((2, 3)), [0.0, 0.0], [1.0, 1.0]),
        (1.0, [0.0], [1.0]),
    ]:
        with pytest.raises(ValueError, match=r"points must have shape \(\.\.\., d\)"):
            restore(points, mean, std)
    with pytest.raises(ValueError, match="mean must be finite; got nan"):
        restore([[1.0]], [np.nan], [1.0])
    for std in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="std must be finite and > 0"):
            restore([[1.0]], [0.0], [std])
