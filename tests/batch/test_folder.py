"A folder of photographs: what comes out, and what fails"
import csv, os, re, subprocess
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from skimage import data as samples
from batch_tools import files, litter, photographs, posix, quick
from colorized.batch.ledger import is_complete, read_report
from colorized.batch.run import FolderRun
from colorized.photo.provenance import read_provenance
from colorized.photo.reading import read_scan

def test_pixels_report_and_provenance(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    (src/'box').mkdir()
    Image.fromarray(samples.camera()[:90,:120].astype(np.uint16)*257).save(src/'box/ä ö.tif')
    Image.fromarray(samples.astronaut()[:90,:120]).save(src/'box/color.bmp')
    settings = dict(seed=3, temperature=1., saturation=0.5)
    got = quick(src, out, colorizer, **settings, source_type='algorithmicallyEnhanced')
    assert (got.done, got.failed, got.skipped, got.left, got.exit_code)==(4, 0, 0, 0, 0)
    assert str(got).startswith('4 colored in ') and 0<got.seconds<600
    assert sorted(files(out))==['00.jpg', '01.jpg', 'box/color.png', 'box/ä ö.tif']
    assert not litter(out)
    alone = colorizer.colorize(src/'box/ä ö.tif', steps=2, **settings)
    assert np.array_equal(read_scan(out/'box/ä ö.tif').pixels, alone.array(bits=16))
    table = list(csv.DictReader(open(out/'report.csv', encoding='utf-8-sig')))
    assert [o['path'] for o in table]==['00.jpg', '01.jpg', 'box/color.bmp', 'box/ä ö.tif']
    row = table[3]
    shown = [row[k] for k in ('width', 'height', 'bits', 'seed', 'error', 'tone')]
    assert shown==['120', '90', '16', '3', '', 'neutral']
    assert row['model_sha256']==colorizer.sha256 and float(row['seconds'])>0
    assert len(row['source_sha256'])==len(row['output_sha256'])==64
    assert {o['source'] for o in read_report(out).values()}=={str(src.resolve())}
    assert 'in color already' in table[2]['warnings'] and table[2]['tone']=='color'
    said = read_provenance(out/'00.jpg')
    assert said['Seed']=='3' and said['source_sha256']==table[0]['source_sha256']
    assert said['DigitalSourceType'].endswith('algorithmicallyEnhanced')

def test_with_workers_as_without(tmp_path, colorizer):
    src = photographs(tmp_path/'in', 5)
    (src/'bad.jpg').write_bytes(b'no')
    for n in (0, 2):
        got = quick(src, tmp_path/f'out{n}', colorizer, workers=n)
        assert (got.done, got.failed)==(5, 1)
    assert files(tmp_path/'out0')==files(tmp_path/'out2')

def test_a_dry_run_would_replace_what_is_broken(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    quick(src, out, colorizer)
    (out/'00.jpg').write_bytes((out/'00.jpg').read_bytes()[:-900])
    got = quick(src, out, colorizer, dry_run=True)
    assert (got.failed, got.left, got.skipped)==(0, 1, 1)

def test_uncertainty(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    assert quick(src, out, colorizer).done==2
    before = files(out)
    assert quick(src, out, colorizer, uncertainty=True).done==2 # the maps are missing
    after = files(out)
    maps = {'00.jpg.uncertainty.png', '01.jpg.uncertainty.png'}
    assert set(after)-set(before)==maps and before.items()<=after.items()
    assert all(o['uncertainty']>0 for o in read_report(out).values())
    assert quick(src, out, colorizer, uncertainty=True).skipped==2
    result = colorizer.colorize(src/'00.jpg', 8, steps=2)
    wanted = np.asarray(result.uncertainty_map()) # smaller than 1024 pixels: at full size
    assert np.array_equal(np.asarray(Image.open(out/'00.jpg.uncertainty.png')), wanted)

def test_dry_run_touches_nothing(tmp_path, colorizer, capsys):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    assert quick(src, out, colorizer, dry_run=True).left==2 and not out.exists()
    quick(src, out, colorizer)
    (src/'00.jpg').write_bytes((src/'01.jpg').read_bytes())
    before = files(out)
    got = quick(src, out, colorizer, dry_run=True)
    assert (got.skipped, got.failed)==(1, 1) and files(out)==before
    assert 'would fail: was made with source_sha256' in capsys.readouterr().out
    got = quick(src, out, colorizer, dry_run=True, overwrite=True)
    assert (got.skipped, got.left)==(1, 1) and ', would be replaced' in capsys.readouterr().out
    got = quick(src, out, colorizer, dry_run=True, resume=False)
    assert got.failed==2 and 'would fail: exists already' in capsys.readouterr().out

def test_a_dry_run_says_what_the_run_would_not_see(tmp_path, colorizer, monkeypatch, capsys):
    "A folder that may not be listed fails it; other things are counted"
    src,out = photographs(tmp_path/'in', 1),tmp_path/'out'
    (src/'locked').mkdir()
    (src/'notes.txt').touch()
    real = os.scandir
    def scandir(path):
        if 'locked' in str(path): raise PermissionError(13, 'Permission denied', str(path))
        return real(path)
    monkeypatch.setattr(os, 'scandir', scandir)
    got = quick(src, out, colorizer, dry_run=True)
    assert (got.left, got.failed, got.exit_code)==(1, 1, 1) and not out.exists()
    said = capsys.readouterr().out
    assert f"would fail: {src/'locked'}: cannot be listed (Permission denied)\n" in said
    assert f'passed over in {src}: 1 .txt\n' in said
    got = quick(src, out, colorizer)
    assert (got.done, got.failed, got.exit_code)==(1, 1, 1)

@posix
def test_a_dry_run_says_what_cannot_be_read(tmp_path, colorizer, monkeypatch, capsys):
    "in the words of the run, without opening a photograph"
    src,out = photographs(tmp_path/'in', 4),tmp_path/'out'
    quick(src, out, colorizer)
    for o in ('00.jpg', '01.jpg'): (src/o).unlink()
    (src/'00.jpg').symlink_to('nowhere')
    (src/'01.jpg').touch()
    (src/'new.png').touch()
    real = os.access
    monkeypatch.setattr(os, 'access', lambda o, *how: Path(o).name!='02.jpg' and real(o, *how))
    capsys.readouterr()
    got = quick(src, out, colorizer, dry_run=True)
    assert (got.failed, got.skipped, got.left, got.exit_code)==(4, 1, 0, 1)
    why = dict(zip(('00.jpg', '01.jpg', '02.jpg', 'new.png'),
        ('no such file', 'the file is empty', 'may not be read (permission denied)',
         'the file is empty')))
    said = capsys.readouterr().out
    for k,v in why.items(): assert f'{src/k} -> {out/k}: would fail: {v}\n' in said
    quick(src, tmp_path/'other', colorizer)
    del why['02.jpg'] # in truth it may be read
    for k,v in why.items(): assert read_report(tmp_path/'other')[k]['error']==f'{src/k}: {v}'

def test_the_last_line_says_how_many_have_remarks(tmp_path, colorizer, capsys):
    "now or in an earlier run, of the photographs that are there"
    src,out = photographs(tmp_path/'in', 1),tmp_path/'out'
    Image.fromarray(samples.coffee()).save(src/'color.jpg')
    page = Image.open(src/'00.jpg')
    page.save(src/'two.tif', save_all=True, append_images=[page])
    def last_line():
        quick(src, out, colorizer, progress=True)
        said = capsys.readouterr().err.splitlines()[-1].removesuffix(f'; report: {out}/report.csv')
        return re.fullmatch(r'colorized: (.*) in \d+ s(.*)', said).groups()
    assert last_line()==('3 colored', '; 2 with remarks (see column warnings)')
    assert last_line()==('0 colored, 3 done before', '; 2 with remarks (see column warnings)')
    (src/'two.tif').unlink()
    assert last_line()==('0 colored, 2 done before', '; 1 with remarks (see column warnings)')
    (src/'color.jpg').unlink()
    assert last_line()==('0 colored, 1 done before', '')
    warnings = [o['warnings'] for o in csv.DictReader(open(out/'report.csv', encoding='utf-8-sig'))]
    assert warnings.count('')==1 and 'only the first of 2 pages was read' in warnings

@posix
def test_no_name_moves_the_cursor_of_a_terminal(tmp_path, colorizer, capsys):
    "The report has it as it is"
    src,out = tmp_path/'in',tmp_path/'out'
    photographs(src, 1)
    bad = 'a\x1b[31m\nb.jpg'
    (src/bad).touch()
    (src/'x.\x1bq').touch()
    escaped = r'in/a\x1b[31m\nb.jpg'
    quick(src, out, colorizer, dry_run=True)
    quick(src, out, colorizer, progress=True)
    for said in capsys.readouterr():
        assert '\x1b' not in said and f'{escaped}' in said and r'1 .\x1bq' in said
    assert bad in read_report(out) and f'{src/bad}: ' in read_report(out)[bad]['error']

# Failures

def test_broken_files_do_not_stop_the_rest(tmp_path, colorizer, capsys):
    src,out = photographs(tmp_path/'in', 3),tmp_path/'out'
    (src/'01.jpg').write_bytes((src/'01.jpg').read_bytes()[:900])
    (src/'empty.png').touch()
    (src/'text.tif').write_text('no')
    (src/'gone.jpg').symlink_to('nowhere')
    got = quick(src, out, colorizer, progress=True)
    assert (got.done, got.failed, got.exit_code)==(2, 4, 1)
    assert sorted(files(out))==['00.jpg', '02.jpg'] and not litter(out)
    said = capsys.readouterr().err
    for o in ('01.jpg', 'empty.png', 'text.tif', 'gone.jpg'):
        assert str(src/o) in said and str(src/o) in read_report(out)[o]['error']
    again = quick(src, out, colorizer)
    assert (again.skipped, again.failed)==(2, 4)

@posix
def test_a_link_to_an_output_that_is_not_there_is_not_replaced(tmp_path, colorizer, capsys):
    "Outputs were moved to a disk that is not mounted now; with overwrite they are made again"
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    quick(src, out, colorizer)
    (out/'00.jpg').rename(tmp_path/'moved.jpg')
    (out/'00.jpg').symlink_to(tmp_path/'moved.jpg')
    assert quick(src, out, colorizer).skipped==2
    (tmp_path/'moved.jpg').rename(tmp_path/'away.jpg')
    got = quick(src, out, colorizer)
    assert (got.skipped, got.failed)==(1, 1) and (out/'00.jpg').is_symlink()
    why = 'is a link to a file that is not there'
    assert f'00.jpg: exists already and {why}; overwrite' in read_report(out)['00.jpg']['error']
    got = quick(src, out, colorizer, dry_run=True)
    assert (got.skipped, got.failed)==(1, 1) and f'would fail: {why}' in capsys.readouterr().out
    assert quick(src, out, colorizer, uncertainty=True, dry_run=True).failed==1
    assert quick(src, out, colorizer, overwrite=True).done==1 and is_complete(out/'00.jpg')
    assert not (out/'00.jpg').is_symlink() and not (tmp_path/'moved.jpg').exists()

def test_errors_that_are_over_leave_the_table(tmp_path, colorizer):
    "A broken file that was renamed is no failure any more; one that is still there stays"
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    for o in ('bad.jpg', 'worse.jpg'): (src/o).write_bytes(b'no')
    assert quick(src, out, colorizer).failed==2
    (src/'bad.jpg').rename(src/'notes.txt')
    (src/'01.jpg').unlink()
    assert quick(src, out, colorizer).failed==1
    table = list(csv.DictReader(open(out/'report.csv', encoding='utf-8-sig')))
    assert [o['path'] for o in table]==['00.jpg', '01.jpg', 'worse.jpg']
    assert 'bad.jpg' in read_report(out)

def test_errors_of_another_folder_stay_in_the_table(tmp_path, colorizer, monkeypatch):
    "as long as their files are there, wherever the command is given"
    (tmp_path/'a').mkdir()
    for o in ('bad.jpg', 'worse.jpg'): (tmp_path/'a'/o).write_bytes(b'no')
    photographs(tmp_path/'b', 1)
    out = tmp_path/'out'
    def color(src):
        quick(src, out, colorizer, steps=1)
        with open(out/'report.csv', encoding='utf-8-sig') as f:
            return [o['path'] for o in csv.DictReader(f)]
    assert color(tmp_path/'a')==['bad.jpg', 'worse.jpg']
    monkeypatch.chdir(tmp_path)
    assert color(Path('b'))==['00.jpg', 'bad.jpg', 'worse.jpg']
    (tmp_path/'a/bad.jpg').unlink()
    assert color(tmp_path/'b')==['00.jpg', 'worse.jpg']
    (tmp_path/'a/worse.jpg').rename(tmp_path/'a/other.jpg')
    assert color(Path('a'))==['00.jpg', 'other.jpg']

def test_a_report_that_cannot_be_written_is_a_failure(tmp_path, colorizer, monkeypatch, capsys):
    src,out,real = photographs(tmp_path/'in', 1),tmp_path/'out',FolderRun.go
    def go(self):
        real(self)
        (out/'report.csv').mkdir()
    monkeypatch.setattr(FolderRun, 'go', go)
    got = quick(src, out, colorizer, steps=1, progress=True)
    assert (got.done, got.failed, got.exit_code)==(1, 0, 1)
    assert got.unreported.startswith(f"{out/'report.csv'}: ")
    assert f"colorized: {got.unreported}\n" in capsys.readouterr().err

@posix
def test_full_disk(tmp_path, colorizer, small_disk, capsys):
    src,out = photographs(tmp_path/'in', 12, (480, 360)),small_disk/'out'
    got = quick(src, out, colorizer, progress=True)
    assert got.exit_code==1 and got.failed==1 and got.done>0 and got.left==12-got.done-1
    said = capsys.readouterr().err
    assert 'No space left' in said and 'the same command goes on' in said
    assert len(files(out))==got.done and not litter(out)
    assert all(is_complete(o) for o in out.glob('*.jpg'))
    subprocess.run(['mount', '-o', 'remount,size=8m', small_disk], check=True)
    again = quick(src, out, colorizer)
    assert (again.skipped, again.done, again.exit_code)==(got.done, 12-got.done, 0)
    assert set(read_report(out))==set(files(src))

@posix
def test_read_only_target(tmp_path, colorizer, small_disk):
    src = photographs(tmp_path/'in', 2)
    subprocess.run(['mount', '-o', 'remount,ro', small_disk], check=True)
    for out in (small_disk, small_disk/'out'):
        with pytest.raises(OSError, match='Read-only.*disk'): quick(src, out, colorizer)
