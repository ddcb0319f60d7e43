"The record held against the store"
import os
import pytest
from fleet_tools import world
from colorized.cli.main import main
from colorized.fleet.audit import REPORT, audit, protect_report, report
from colorized.fleet.record import Record, read_record
from colorized.fleet.store import Store

def test_audit_finds_it(tmp_path):
    photos,store = world(tmp_path)
    (tmp_path/'out/a.jpg').unlink()
    (tmp_path/'out/b.jpg').write_bytes(b'bx')
    (tmp_path/'out/stray.jpg').touch()
    record = Record(store, every=1e9)
    record.add(dict(path='c', error='c: it was away')) # and then it was not
    record.add(dict(path='c', output='c.jpg', output_bytes=2, how='new'))
    record.add(dict(path='d', error='d: broken'))
    record.flush()
    expected = dict(done=['a.jpg', 'b.jpg', 'c.jpg'], failed=['d'], lost=['a.jpg'], changed=[],
                    twice=['c.jpg'], unknown=['stray.jpg'])
    assert audit(store)==expected
    assert audit(store, deep=True)['changed']==['b.jpg', 'c.jpg'] # the last row of c has no hash
    said = report(store)
    assert '- d: broken' in said and 'it was away' not in said

def test_the_report_of_a_deep_audit_counts_what_it_found(tmp_path, capsys):
    "A disk has changed one byte: that is in what is printed, too, not only in the messages"
    world(tmp_path)
    (tmp_path/'out/b.jpg').write_bytes(b'bx')
    assert main(['fleet', '--out', str(tmp_path/'out'), '--audit'])==1
    said = capsys.readouterr()
    assert 'Lost: 0, changed: 1,' in said.out and 'b.jpg: is not what was written' in said.err

def test_the_last_row_tells_who_failed(tmp_path):
    "One that was colored and then refused has failed; one whose output another made has not"
    store = Store(tmp_path)
    record = Record(store, every=1e9)
    good = lambda path, output: record.add(dict(path=path, output=output, how='new'))
    bad = lambda path, output: record.add(dict(path=path, output=output, error=f'{path}: no'))
    good('refused', 'r.jpg')
    bad('refused', 'r.jpg')
    bad('mended', 'm.jpg')
    good('mended', 'm.jpg')
    bad('old/moved', 'v.jpg')
    good('new/moved', 'v.jpg')
    bad('gone', None)
    assert record.flush()
    assert audit(store)['failed']==['gone', 'refused']
    said = report(store)
    assert '3 photographs are colored, 2 failed' in said
    assert '- refused: no' in said and 'moved: no' not in said

def test_report_word_for_word(tmp_path):
    store = Store(tmp_path)
    record = Record(store, every=1e9)
    for i,o in enumerate('abcd'):
        store.put(o, b'12')
        tone = 'toned' if i else 'neutral'
        record.add(dict(path=o, output=o, output_bytes=2, how='new', tone=tone, seconds=float(i),
                        source_bytes=10*i, worker=f'w{i%2}'))
    record.add(dict(path='a', output='a', output_bytes=2, how='checked', tone='x', seconds=9.))
    for o in 'xyz': record.add(dict(path=o, error=f'{o}: old'))
    record.add(dict(path='x', error='x: new'))
    record.flush()
    times = read_record(store)['finished'].to_pylist()
    assert report(store, most=2)==f"""# {store.url}

4 photographs are colored, 3 failed. Lost: 0, changed: 0, made twice: 0, not in the record: 0.

| run | from | to | colored | failed | workers |
|---|---|---|---|---|---|
| {record.run} | {min(times)} | {max(times)} | 5 | 4 | 2 |

| | median | 90 % | most |
|---|---|---|---|
| seconds of work | 1.5 | 2.7 | 3 |
| bytes of the original | 15 | 27 | 30 |
| bytes of the output | 2 | 2 | 2 |

Tones: 3 toned, 1 neutral.

## Failed

- x: new
- y: old
- and 1 more
"""

def test_a_folder_whose_name_is_no_text(tmp_path):
    store = Store(os.fsdecode(os.fsencode(tmp_path)+b'/M\xfcnchen'))
    assert report(store).encode().startswith(f'# {tmp_path}/M\\udcfcnchen\n'.encode())

def test_a_report_of_others_is_not_replaced(tmp_path):
    store = Store(tmp_path)
    protect_report(store)
    store.put(REPORT, report(store).encode())
    protect_report(store)
    store.put(REPORT, b'# What we found in the attic', replace=True)
    with pytest.raises(FileExistsError, match='report.md exists already and was not made by this'):
        protect_report(store)

def test_an_empty_place(tmp_path):
    assert not any(audit(tmp_path).values())
    assert report(tmp_path).splitlines()[2].startswith('0 photographs are colored, 0 failed.')
