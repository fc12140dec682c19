import pytest

from bench.layouts import geneval, plain
from bench.store import Store, differences, read_records
from bench.suites import Item
from milr_core import InputError

MANIFEST = {"fixed": {"suite": "world", "weights": "abc"}}


def item(number: int) -> Item:
    return Item(f"{number:05d}", f"prompt {number}", "one", number, {"tag": "one"})


def fill(folder, record, numbers):
    with Store(folder, MANIFEST) as store:
        for n in numbers:
            store.add(item(n), record(item(n).id, "joint[lr=0.1]", [0.5, 1.0]), b"png", geneval)


def test_records_come_back_with_their_image_in_the_official_layout(tmp_path, record):
    fill(tmp_path, record, range(3))
    records, damaged = read_records(tmp_path)
    assert [r["item"] for r in records] == ["00000", "00001", "00002"] and not damaged
    assert records[1]["rewards"] == [0.5, 1.0]
    assert (tmp_path / records[1]["image"]).read_bytes() == b"png"
    assert (tmp_path / "images/joint_lr=0.1_/00001/metadata.jsonl").read_text() == '{"tag": "one"}'
    assert not list(tmp_path.rglob("*.partial"))


@pytest.mark.parametrize("damage", ["cut", "bytes", "zeros", "half line", "middle"])
def test_damage_is_seen_set_aside_and_made_again(tmp_path, record, damage):
    fill(tmp_path, record, range(3))
    path = tmp_path / "records.jsonl"
    data = bytearray(path.read_bytes())
    third = len(data) // 3
    if damage == "cut":
        data = data[:-20]
    elif damage == "bytes":  # still JSON, another reward
        at = data.rindex(b"1.0]")
        data[at : at + 3] = b"0.1"
    elif damage == "zeros":
        data += b"\0" * 64
    elif damage == "half line":
        data += b'{"item": "00003", "meth'
    else:
        data[third + 5] ^= 1
    path.write_bytes(data)
    with Store(tmp_path, MANIFEST) as store:
        lost = {"cut": {"00002"}, "bytes": {"00002"}, "middle": {"00001"}}.get(damage, set())
        assert {key[0] for key in store.done} == {"00000", "00001", "00002"} - lost
    fill(tmp_path, record, range(3))
    records, damaged = read_records(tmp_path)
    assert sorted(r["item"] for r in records) == ["00000", "00001", "00002"] and not damaged
    assert path.read_bytes().count(b"\n") == 3


def test_a_record_is_never_there_twice(tmp_path, record):
    fill(tmp_path, record, [0])
    fill(tmp_path, record, [0])
    with Store(tmp_path, MANIFEST) as store:
        assert not store.add(item(0), record("00000", "joint[lr=0.1]", [0.1]), b"other", plain)
    assert (tmp_path / "records.jsonl").read_bytes().count(b"\n") == 1


def test_a_second_writer_and_another_run_are_refused(tmp_path):
    with Store(tmp_path, MANIFEST), pytest.raises(InputError, match="Another run is writing"):
        Store(tmp_path, MANIFEST)
    with pytest.raises(InputError, match='weights "abc", this run has "def"'):
        Store(tmp_path, {"fixed": {"suite": "world", "weights": "def"}})
    Store(tmp_path, MANIFEST).close()


def test_two_runs_are_the_same_but_for_time_and_order(record):
    a = [record("0", "joint", [0.5]), record("1", "joint", [0.7])]
    b = [record("1", "joint", [0.7], timing={"seconds": 9}), record("0", "joint", [0.5])]
    assert differences(a, b) == []
    assert differences(a, [record("0", "joint", [0.4]), b[0]]) == ["('0', 'joint', 0): rewards, judged"]
    assert differences(a, b[:1]) == ["('0', 'joint', 0): only in the first"]
