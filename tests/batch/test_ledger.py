"What is done, and the report"
import csv, errno, json, os
import numpy as np, pytest, torch
from batch_tools import files, photographs, quick, rows
from colorized.batch.ledger import COLUMNS, Report, is_complete, output_status, read_report
from colorized.photo.provenance import expected_properties, read_provenance
from colorized.photo.provenance import Provenance
from colorized.photo.scan import Scan
from colorized.photo.writing import write_color

made = Provenance('m', 'abc', 3, 8, dict(saturation=1.0, source_sha256='123'))

@pytest.fixture(params=['.jpg', '.png', '.tif', '.webp'])
def output(request, tmp_path):
    "A file of each kind, with provenance"
    path = tmp_path/f'a{request.param}'
    gray = np.tile(np.arange(64, dtype=np.uint8)*3, (48, 1))
    write_color(path, Scan(gray), torch.full((1,2,8,8), 10.), made)
    return path

def test_only_what_is_missing_is_made(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 5),tmp_path/'out'
    quick(src, out, colorizer)
    before = files(out)
    stamps = {o: (out/o).stat().st_mtime_ns for o in before}
    (out/'00.jpg').unlink()
    (out/'01.jpg').write_bytes(before['01.jpg'][:-1])
    (out/'02.jpg').write_bytes(b'')
    again = quick(src, out, colorizer)
    assert (again.done, again.skipped)==(3, 2) and files(out)==before
    assert all((out/o).stat().st_mtime_ns==stamps[o] for o in ('03.jpg', '04.jpg'))
    (out/'report.jsonl').unlink() # the files know it all
    assert quick(src, out, colorizer).skipped==5
    assert [o['output_sha256'] is not None and o['width'] for o in rows(out)]==[120]*5
    assert quick(src, out, colorizer).skipped==5 and len(rows(out))==5 # reported once

CHANGES = [dict(seed=1), dict(steps=3), dict(saturation=1.5), dict(temperature=0.5),
           dict(working_size=288), dict(quality=80), dict(source_type='composite')]

@pytest.mark.parametrize('change', CHANGES, ids=str)
def test_other_settings_are_not_done(tmp_path, colorizer, change):
    src,out = photographs(tmp_path/'in', 1),tmp_path/'out'
    quick(src, out, colorizer)
    before = files(out)
    refused = quick(src, out, colorizer, **change)
    error = read_report(out)['00.jpg']['error'].lower().replace('digitalsourcetype', 'source_type')
    assert refused.failed==1 and files(out)==before and next(iter(change)) in error
    assert quick(src, out, colorizer, **change, overwrite=True).done==1 and files(out)!=before
    assert quick(src, out, colorizer, **change, overwrite=True).skipped==1
    assert quick(src, out, colorizer, **change, overwrite=True, resume=False).done==1

def test_a_stranger_is_not_overwritten(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),photographs(tmp_path/'out', 1)
    before = files(out)
    assert quick(src, out, colorizer).failed==1
    assert files(out)['00.jpg']==before['00.jpg']
    assert 'not made by this program' in read_report(out)['00.jpg']['error']

def test_resume_off_asks_nobody(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 1),tmp_path/'out'
    quick(src, out, colorizer)
    assert quick(src, out, colorizer, resume=False).failed==1
    error = read_report(out)['00.jpg']['error']
    assert error.endswith('is not asked for its settings (resume is off); overwrite replaces it')

def test_status_of_each_kind_of_file(output):
    assert output_status(output, made)==('done', '')
    other = Provenance('m', 'abc', 4, 8, made.settings)
    assert output_status(output, other)==('other', "was made with Seed 3 (now 4)")
    nameless = Provenance('m', None, 3, 8, made.settings)
    assert output_status(output, nameless)==('other', "the model has no hash to compare")
    output.write_bytes(b'')
    assert output_status(output, made)==('broken', "is empty")

def test_a_file_cut_anywhere_is_not_complete(output):
    data = output.read_bytes()
    assert is_complete(output)
    for n in (1, 2, 40, len(data)//2, len(data)-13):
        output.write_bytes(data[:-n])
        assert not is_complete(output)

def test_provenance_that_another_program_has_written_again(tmp_path):
    "as attributes, in another order, beside a packet that is damaged"
    packet = '''<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 xmlns:c="https://example.github.io/colorized/ns/1.0/" c:Steps="8" c:Seed="3" c:Other="no"
 c:ModelSHA256="abc"><c:Settings>{"saturation": 1.0}</c:Settings></rdf:Description></rdf:RDF>
</x:xmpmeta><?xpacket end="w"?>'''
    broken = '<?xpacket begin=""?>https://example.github.io/colorized/ns/1.0/<?xpacket end="w"?>'
    path = tmp_path/'a.bin'
    path.write_bytes(b'123'+broken.encode()+b'456'+packet.encode()+b'789')
    want = {'ModelSHA256':'abc', 'Seed':'3', 'Steps':'8', 'saturation':'1.0'}
    assert read_provenance(path)==want
    path.write_bytes(b'nothing')
    assert read_provenance(path) is None
    assert {**expected_properties(made), 'x':'y'}.items()>=want.items()

@pytest.mark.parametrize('target', ['scan.tif', '/dev/zero', 'nowhere'])
def test_a_report_that_is_a_link_is_refused(tmp_path, target):
    scan = tmp_path/'scan.tif'
    scan.write_bytes(b'II*\0 scan')
    (tmp_path/'report.jsonl').symlink_to(target)
    why = 'report.jsonl is a link or no file: remove it'
    with pytest.raises(FileExistsError, match=why): Report(tmp_path)
    with pytest.raises(FileExistsError, match=why): read_report(tmp_path)
    assert scan.read_bytes()==b'II*\0 scan' and not (tmp_path/'nowhere').exists()

def test_the_report_of_somebody_else_is_left_alone(tmp_path, colorizer):
    "Neither replaced nor added to, not even by overwrite; nothing is colored"
    src,out = photographs(tmp_path/'in', 1),tmp_path/'out'
    out.mkdir()
    theirs = {'report.csv': b'shelfmark,condition\nA-12,torn\n', 'report.jsonl': b'{"mine":1}\n'}
    for name,text in theirs.items():
        (out/name).write_bytes(text)
        for how in (dict(), dict(overwrite=True), dict(dry_run=True)):
            with pytest.raises(FileExistsError, match=f'{name} exists already and was not made'):
                quick(src, out, colorizer, **how)
        assert {o.name: o.read_bytes() for o in out.iterdir()}=={name: text}
        (out/name).unlink()

@pytest.mark.parametrize('data,is_ours', [
    (b'', True), (b'{"path": "a', True), (b'{"pa', True), (b'\0'*40, True), (b'{"pa\0\0\0', True),
    (b'\0\0"a.jpg"}\n{"path": "b.jpg"}\n', True), (b'{"bits": 8, "path":"a.jpg"}\n', True),
    (b'{"mine": 1}\n', False), (b'{"path": 1}\n', False), (b'[1]\n', False), (b'notes\n', False)])
def test_a_report_is_known_by_its_first_row(tmp_path, data, is_ours):
    "also on a disk that was full, or lost its power"
    (tmp_path/'report.jsonl').write_bytes(data)
    if is_ours:
        Report(tmp_path).close()
        return
    with pytest.raises(FileExistsError, match='report.jsonl exists already'): Report(tmp_path)
    assert [o.name for o in tmp_path.iterdir()]==['report.jsonl']

def test_a_planted_claim_costs_one_photograph(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    out.mkdir()
    (out/'.00.jpg.claim').symlink_to(src/'01.jpg')
    before = files(src)
    got = quick(src, out, colorizer)
    assert (got.done, got.failed)==(1, 1) and files(src)==before
    why = '00.jpg: cannot be written (.00.jpg.claim is a link or no file: remove it)'
    assert read_report(out)['00.jpg']['error'].endswith(why)

def test_report_on_a_line_cut_short(tmp_path):
    (tmp_path/'report.jsonl').write_text('{"path": "a.j')
    r = Report(tmp_path)
    r.add(dict(path='b.jpg'))
    r.close()
    assert list(read_report(tmp_path))==['b.jpg']

def test_report_knows_what_others_write(tmp_path):
    ours,theirs = Report(tmp_path),Report(tmp_path)
    theirs.add(dict(path='a.jpg'))
    theirs.add(dict(path='b.jpg', error='no'))
    assert ours.knows('a.jpg') and not ours.knows('b.jpg')
    with open(tmp_path/'report.jsonl', 'a') as f: f.write('{"path": "c.jpg"') # still writing
    assert not ours.knows('c.jpg')
    with open(tmp_path/'report.jsonl', 'a') as f: f.write('}\n')
    assert ours.knows('c.jpg')
    for o in (ours, theirs): o.close()

def test_table_for_the_spreadsheet(tmp_path):
    r = Report(tmp_path)
    r.add(dict(path='ü.jpg', warnings=['one', 'two'], unknown=1))
    r.add(dict(path='b\udcff.jpg', error='first'))
    r.add(dict(path='b\udcff.jpg'))
    r.close()
    data = (tmp_path/'report.csv').read_bytes()
    assert data.startswith(b'\xef\xbb\xbfpath,output,') # Excel knows UTF-8 by this mark
    table = list(csv.DictReader(data.decode('utf-8-sig').splitlines()))
    assert list(table[0])==COLUMNS
    assert [(o['path'], o['warnings'], o['error']) for o in table]==[
        ('b\\udcff.jpg', '', ''), ('ü.jpg', 'one; two', '')]
    first = json.loads((tmp_path/'report.jsonl').read_text().splitlines()[0])
    assert list(first)[:len(COLUMNS)]==COLUMNS and first['finished'].endswith('Z')
    assert [o.name for o in tmp_path.iterdir() if o.name.startswith('.')]==[]

def test_whose_errors_stand_in_the_table(tmp_path):
    "Anybody may have written a report, and whatever for the folder of a photograph"
    here,there = tmp_path/'here',tmp_path/'there'
    there.mkdir()
    (there/'b.jpg').touch()
    r = Report(tmp_path)
    for k,source in dict(a=str(here), b=str(there), c=str(there), d=7, e='\0', f=None).items():
        r.add(dict(path=f'{k}.jpg', error='no', source=source))
    r.add(dict(path='g.jpg', source=str(there)))
    r.close({'f.jpg'}, str(here))
    with open(tmp_path/'report.csv', encoding='utf-8-sig') as f:
        assert [o['path'] for o in csv.DictReader(f)]==['b.jpg', 'f.jpg', 'g.jpg']

def test_no_cell_is_a_formula(tmp_path):
    "The table is made for spreadsheets, and names come from anywhere"
    r = Report(tmp_path)
    names = ['=HYPERLINK("http://x","open").jpg', '+1.jpg', '-1.jpg', '@a.jpg', '\tb.jpg', "'a"]
    for o in names: r.add(dict(path=o, output=o, hue=-3.5, warnings=['=1'], error=f'{o}: no'))
    r.close()
    with open(tmp_path/'report.csv', encoding='utf-8-sig', newline='') as f:
        table = list(csv.DictReader(f))
    assert sorted(o['path'] for o in table)==sorted(["'"+o for o in names[:-1]]+names[-1:])
    assert {(o['hue'], o['warnings']) for o in table}=={('-3.5', "'=1")}
    assert all(o['output']==o['path'] and o['error']==f"{o['path']}: no" for o in table)
    assert sorted(read_report(tmp_path))==sorted(names)

def test_a_report_on_a_full_disk_says_so_and_goes_on(tmp_path, monkeypatch):
    def full(*_): raise OSError(errno.ENOSPC, 'No space left on device')
    r = Report(tmp_path)
    assert r.error is None
    with monkeypatch.context() as m:
        m.setattr('colorized.batch.ledger.os.write', full)
        r.add(dict(path='a.jpg'))
    assert r.error==f"{tmp_path/'report.jsonl'}: No space left on device"
    r.add(dict(path='b.jpg'))
    monkeypatch.setattr('colorized.batch.ledger._write_csv', full)
    r.close()
    assert r.error==f"{tmp_path/'report.csv'}: No space left on device"
    assert list(read_report(tmp_path))==['b.jpg'] and not (tmp_path/'report.csv').exists()

@pytest.mark.parametrize('room', [0, 70, 10**6])
def test_a_row_is_written_whole_or_not_at_all(tmp_path, monkeypatch, room):
    "A disk that is nearly full takes a part, and says so at the next write"
    real,left = os.write,[room]
    def write(fd, data):
        if not left[0]: raise OSError(errno.ENOSPC, 'No space left on device')
        n = real(fd, data[:min(left[0], 50)])
        left[0] -= n
        return n
    ours,theirs = Report(tmp_path),Report(tmp_path)
    ours.add(dict(path='a.jpg'))
    before = (tmp_path/'report.jsonl').read_bytes()
    with monkeypatch.context() as m:
        m.setattr('colorized.batch.ledger.os.write', write)
        ours.add(dict(path='b.jpg'))
    fits = room>1000
    assert (ours.error is None)==fits and theirs.knows('b.jpg')==fits
    assert fits or (tmp_path/'report.jsonl').read_bytes()==before
    ours.add(dict(path='c.jpg'))
    assert theirs.knows('c.jpg') and set(read_report(tmp_path))>={'a.jpg', 'c.jpg'}
    for o in ours,theirs: o.close()

def test_nothing_that_another_wrote_is_cut_off(tmp_path, monkeypatch):
    "Two processes on a full disk: a part of a row stays if a row stands behind it"
    real,theirs = os.write,b'\n{"path": "b.jpg"}\n'
    def write(fd, data):
        if (tmp_path/'report.jsonl').stat().st_size: raise OSError(errno.ENOSPC, 'full')
        n = real(fd, data[:20])
        with open(tmp_path/'report.jsonl', 'ab') as f: f.write(theirs)
        return n
    r = Report(tmp_path)
    with monkeypatch.context() as m:
        m.setattr('colorized.batch.ledger.os.write', write)
        r.add(dict(path='a.jpg'))
    r.close()
    assert r.error and list(read_report(tmp_path))==['b.jpg']

def test_rows_reach_the_disk_every_five_seconds(tmp_path, monkeypatch):
    now,synced = [100.],[]
    monkeypatch.setattr('colorized.batch.ledger.time.time', lambda: now[0])
    r = Report(tmp_path)
    fsync = lambda fd: synced.append(now[0]) if fd==r.fd else None
    monkeypatch.setattr('colorized.batch.ledger.os.fsync', fsync)
    for now[0] in (101., 104., 106., 110., 111.5): r.add(dict(path='a.jpg'))
    assert synced==[106., 111.5]
    r.close()
    assert synced==[106., 111.5, 111.5]
