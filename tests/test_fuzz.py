"What fuzzing found, once more; and that it would find"
import io, json, mmap, random, struct, sys, time
from pathlib import Path
import numpy as np, pytest, tifffile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent/'tools'))
import fuzz

def deep(n=100000): return b'['*n+b']'*n
def lines(*rows): return b''.join(json.dumps(o).encode()+b'\n' for o in rows)
def info(**more):
    return json.dumps({'@context': 'http://iiif.io/api/image/3/context.json', 'id': 'http://a/b',
                       'profile': 'level2', 'width': 60, 'height': 40, **more}).encode()

def checkpoint(config):
    "One of a tiny network whose configuration is another"
    data, = fuzz.checkpoints()
    n, = struct.unpack('<Q', data[:8])
    head = json.loads(data[8:8+n])
    own = head['__metadata__']
    own['colorized'] = config(json.loads(own['colorized'])) if callable(config) else config
    text = json.dumps(head).encode()
    return struct.pack('<Q', len(text))+text+data[8+n:]

def of_net(**more):
    return lambda o: json.dumps({**o, 'net': {**o['net'], **more}})

def shard(torn):
    "A shard of a record: with a page that is torn, or with a text that is not UTF-8"
    if torn:
        data, = fuzz.records()
        return data[:4]+b'\xff'*20+data[24:]
    import pyarrow as pa, pyarrow.parquet as pq
    from colorized.fleet.record import RECORD
    table = pa.Table.from_pylist([dict(path='x')], pa.schema(RECORD.items()))
    offsets = pa.array([0, 1], pa.int32()).buffers()[1]
    wrong = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(b'\x9f'))
    out = io.BytesIO()
    pq.write_table(table.set_column(0, 'path', wrong), out)
    return out.getvalue()

FOUND = dict(
    record_torn=('record', lambda: shard(True)),
    record_no_text=('record', lambda: shard(False)),
    info_deep=('info', deep),
    info_endless=('info', lambda: info(width=1e308).replace(b'1e+308', b'1e999')),
    info_huge=('info', lambda: info(width=10**400)),
    info_huge_area=('info', lambda: info(maxArea=10**400)),
    manifest_deep=('manifest', deep),
    report_deep=('report', lambda: lines(dict(path='a'))+deep()+b'\n'),
    report_path_is_none=('report', lambda: lines(dict(path='a'), dict(path=None))),
    report_path_is_a_number=('report', lambda: lines(dict(path='a'), dict(path=1))),
    report_warnings_of_none=('report', lambda: lines(dict(path='a', warnings=[None, 1]))),
    report_warnings_are_a_number=('report', lambda: lines(dict(path='a', warnings=3))),
    checkpoint_deep=('checkpoint', lambda: checkpoint(deep().decode())),
    checkpoint_no_json=('checkpoint', lambda: checkpoint('{')),
    checkpoint_list=('checkpoint', lambda: checkpoint('[]')),
    checkpoint_no_format=('checkpoint', lambda: checkpoint('{}')),
    checkpoint_unknown=('checkpoint', lambda: checkpoint('{"format": 2, "x": 1}')),
    checkpoint_no_groups=('checkpoint', lambda: checkpoint(of_net(groups=0))),
    checkpoint_texts=('checkpoint', lambda: checkpoint(of_net(widths=['a']))),
    checkpoint_vast=('checkpoint', lambda: checkpoint(of_net(widths=[65536], patch=64))),
    checkpoint_endless=('checkpoint', lambda: checkpoint(of_net(blocks=10**9))),
    exif_far=('exif', lambda: struct.pack('<2sHHHQ', b'II', 43, 8, 0, 2**63)),
    xmp_deep=('xmp', lambda: fuzz.nested_xmp(5000)),
    xmp_settings=('xmp', lambda: next(fuzz.packets()).replace(b'{"a": 1}', b'[1]')))

@pytest.mark.parametrize('name', FOUND)
def test_what_was_found_is_refused_or_read(name):
    reader,make = FOUND[name]
    fuzz.READERS[reader][0](make())

def take(n):
    "n bytes of fresh memory: a heap that kept what earlier tests freed would not grow for them"
    with mmap.mmap(-1, n) as memory:
        for at in range(0, n, mmap.PAGESIZE): memory[at] = 1

def planted(what):
    "A reader with a fault"
    def read(data):
        if data==b'wrong': raise KeyError('x')
        if data==b'slow':
            while True: time.process_time()
        if data==b'large': take(fuzz.MOST_BYTES+2**24)
        if data==b'right': take(fuzz.MOST_BYTES//2)
    return read, '', lambda: iter([what]), None

@pytest.mark.parametrize('data, what', [
    (b'wrong', 'KeyError at test_fuzz.py'), (b'slow', 'takes over'), (b'large', 'MB of memory'),
    (b'right', None)])
def test_a_fault_would_be_found(data, what, tmp_path, monkeypatch):
    monkeypatch.setitem(fuzz.READERS, 'planted', planted(data))
    if data==b'slow': monkeypatch.setattr(fuzz, 'SECONDS', 0.3) # memory may take so long, too
    trial = fuzz.Trial('planted', tmp_path)
    for _ in range(2): trial(data)
    found = [*tmp_path.glob('found-*.txt')]
    assert len(found)==(what is not None)
    if found:
        assert what in found[0].read_text() and found[0].with_suffix('').read_bytes()==data

@pytest.mark.parametrize('shape', [(65_537, 1), (24, 10_512)])
def test_a_long_thin_photograph_takes_little_memory(shape, tmp_path):
    trial = fuzz.Trial('tiff', tmp_path)
    fuzz.photograph(next(fuzz.READERS['tiff'][2]())) # loads what every photograph needs
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros(shape, np.uint8))
    trial(out.getvalue())
    assert not [*tmp_path.glob('found-*')]

@pytest.mark.parametrize('name', fuzz.READERS)
def test_every_reader_begins_with_what_it_can_read(name):
    read,_,start,how = fuzz.READERS[name]
    first = next(iter(start()))
    read(first)
    rng = random.Random(0)
    others = {fuzz.changed(first, rng, how, lambda o: fuzz.blind(o, rng)) for _ in range(8)}
    assert len(others)>4 and first not in others
