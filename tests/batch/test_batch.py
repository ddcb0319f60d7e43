"A folder of photographs: interrupted, killed, shared, broken, on a full disk."
import csv, json, os, shutil, signal, subprocess, sys, time
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from skimage import data as samples
from colorized.batch.folder import Claims, Report, Workers, colorize_folder, judge, mirror, read_provenance, read_report, whole
from colorized.inference.colorizer import Colorizer, working_shape
from colorized.photo.scan import read_scan

root = Path(__file__).resolve().parents[2]
env = {**os.environ, 'OMP_NUM_THREADS':'1', 'PYTHONPATH':str(root)}
posix = pytest.mark.skipif(os.name!='posix', reason='signals and mounts of POSIX')

@pytest.fixture(scope='module')
def colorizer(model): return Colorizer.from_pretrained(model, 'cpu')

def photographs(folder, n=6, size=(120,90)):
    folder.mkdir(parents=True)
    im = Image.fromarray(samples.camera())
    for i in range(n): im.crop((8*i, 4*i, 8*i+360, 4*i+270)).resize(size).save(folder/f'{i:02}.jpg')
    return folder

def quick(src, dst, colorizer, **kwargs): return colorize_folder(src, dst, colorizer, **{**dict(steps=2, workers=0, progress=False), **kwargs})
def files(folder): return {o.relative_to(folder).as_posix(): o.read_bytes() for o in folder.rglob('*') if o.is_file() and not o.name.startswith(('report.', '.'))}
def litter(folder): return [o.name for o in folder.rglob('.*')]
def rows(folder): return [json.loads(o) for o in (folder/'report.jsonl').read_text().splitlines()]

def start(model, src, dst, *more):
    "The command line in a process group of its own"
    code = "import sys; from colorized.cli.main import main; sys.exit(main())"
    return subprocess.Popen([sys.executable, '-c', code, src, '--out', dst, '--model', model, '--steps', '2', '--device', 'cpu', '--threads', '1', *more],
        env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)) # shells start background jobs with SIGINT ignored

def until(condition, seconds=60):
    end = time.time()+seconds
    while not condition():
        assert time.time()<end, 'waited too long'
        time.sleep(0.02)

# What comes out

def test_pixels_report_and_provenance(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    (src/'box').mkdir()
    Image.fromarray(samples.camera()[:90,:120].astype(np.uint16)*257).save(src/'box/ä ö.tif')
    Image.fromarray(samples.astronaut()[:90,:120]).save(src/'box/colour.bmp')
    got = quick(src, out, colorizer, seed=3, temperature=1., saturation=0.5, source_type='algorithmicallyEnhanced')
    assert (got.done, got.failed, got.skipped, got.left, got.exit_code)==(4, 0, 0, 0, 0)
    assert sorted(files(out))==['00.jpg', '01.jpg', 'box/colour.png', 'box/ä ö.tif'] and not litter(out)
    alone = colorizer.colorize(src/'box/ä ö.tif', seed=3, steps=2, temperature=1., saturation=0.5)
    assert np.array_equal(read_scan(out/'box/ä ö.tif').pixels, alone.array(bits=16))
    table = list(csv.DictReader(open(out/'report.csv', encoding='utf-8-sig')))
    assert [o['path'] for o in table]==['00.jpg', '01.jpg', 'box/colour.bmp', 'box/ä ö.tif']
    row = table[3]
    assert (row['width'], row['height'], row['bits'], row['seed'], row['error'], row['tone'])==('120', '90', '16', '3', '', 'neutral')
    assert row['model_sha256']==colorizer.sha256 and len(row['source_sha256'])==len(row['output_sha256'])==64 and float(row['seconds'])>0
    assert 'in colour already' in table[2]['warnings'] and table[2]['tone']=='colour'
    said = read_provenance(out/'00.jpg')
    assert said['Seed']=='3' and said['source_sha256']==table[0]['source_sha256'] and said['DigitalSourceType'].endswith('algorithmicallyEnhanced')

def test_photographs_on_one_call_are_those_alone(tmp_path, colorizer, monkeypatch):
    "Chunks of 4, photographs of two shapes"
    src = photographs(tmp_path/'in', 5)
    photographs(src/'wide', 4, (200, 60))
    calls,chroma = [],colorizer.chroma
    monkeypatch.setattr(colorizer, 'chunk', 4)
    monkeypatch.setattr(colorizer, 'chroma', lambda cond, *args: (calls.append(len(cond)), chroma(cond, *args))[1])
    assert quick(src, tmp_path/'out', colorizer, batch=6).done==9
    assert sorted(calls)==[1, 4, 4]
    monkeypatch.undo()
    for o in ('03.jpg', 'wide/02.jpg'):
        a,b = [np.asarray(Image.open(p), float) for p in (tmp_path/'out'/o, tmp_path/'alone.jpg') if p.exists() or colorizer.colorize(src/o, steps=2).save(p) is not None]
        assert abs(a-b).max()<=2
        (tmp_path/'alone.jpg').unlink()

def test_uncertainty(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    assert quick(src, out, colorizer).done==2
    before = files(out)
    assert quick(src, out, colorizer, uncertainty=True).done==2 # the maps are missing
    after = files(out)
    assert set(after)-set(before)=={'00.jpg.uncertainty.png', '01.jpg.uncertainty.png'} and before.items()<=after.items()
    assert all(o['uncertainty']>0 for o in read_report(out).values())
    assert quick(src, out, colorizer, uncertainty=True).skipped==2

def test_originals_are_safe(tmp_path, colorizer):
    src = photographs(tmp_path/'in', 2)
    before = files(src)
    for dst in (src, tmp_path, src/'..'/'in'):
        with pytest.raises(ValueError, match='originals'): quick(src, dst, colorizer, overwrite=True)
    assert quick(src, src/'out', colorizer).done==2
    assert quick(src, src/'out', colorizer).skipped==2 # outputs are not taken for photographs
    assert before.items()<=files(src).items()
    (tmp_path/'link').mkdir(); (tmp_path/'link/00.jpg').symlink_to(src/'00.jpg') # an output that is an original
    assert quick(src, tmp_path/'link', colorizer, overwrite=True).failed==1
    assert 'original' in read_report(tmp_path/'link')['00.jpg']['error'] and files(src)['00.jpg']==before['00.jpg']

def test_names_that_collide(tmp_path):
    for o in ('a.tif', 'a.jpg', 'a.bmp', 'a.tif.png', 'b.TIF'): (tmp_path/o).touch()
    assert mirror(tmp_path, tmp_path/'o', 'png')[0]=={'a.bmp':'a.bmp.png', 'a.jpg':'a.jpg.png', 'a.tif':'a.tif.png.png', 'a.tif.png':'a.tif.png', 'b.TIF':'b.png'}

def test_what_is_passed_over_is_said(tmp_path, colorizer, capsys):
    src = photographs(tmp_path/'in', 1)
    for o in 'a.dng','b.DNG','notes','.hidden': (src/o).touch()
    shutil.copy(next(src.glob('*.jpg')), src/'scan.jfif'); shutil.copy(src/'scan.jfif', src/'scan.JPE')
    (src/'linked').symlink_to(tmp_path)
    assert mirror(src, tmp_path/'out')[2]=={'.dng': 2, 'without a suffix': 1, 'linked folders': 1}
    assert colorize_folder(src, tmp_path/'out', colorizer, steps=1, workers=0).done==3 and {'scan.jfif','scan.JPE'}<set(files(tmp_path/'out'))
    assert '2 .dng, 1 linked folders, 1 without a suffix' in capsys.readouterr().err

# Resuming

def test_only_what_is_missing_is_made(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 5),tmp_path/'out'
    quick(src, out, colorizer)
    before,stamps = files(out),{o: (out/o).stat().st_mtime_ns for o in files(out)}
    (out/'00.jpg').unlink(); (out/'01.jpg').write_bytes(before['01.jpg'][:-1]); (out/'02.jpg').write_bytes(b'')
    again = quick(src, out, colorizer)
    assert (again.done, again.skipped)==(3, 2) and files(out)==before
    assert all((out/o).stat().st_mtime_ns==stamps[o] for o in ('03.jpg', '04.jpg'))
    (out/'report.jsonl').unlink() # the files know it all
    assert quick(src, out, colorizer).skipped==5
    assert [o['output_sha256'] is not None and o['width'] for o in rows(out)]==[120]*5

@pytest.mark.parametrize('change', [dict(seed=1), dict(steps=3), dict(saturation=1.5), dict(temperature=0.5), dict(working_size=288), dict(quality=80), dict(source_type='composite')], ids=str)
def test_other_settings_are_not_done(tmp_path, colorizer, change):
    src,out = photographs(tmp_path/'in', 1),tmp_path/'out'
    quick(src, out, colorizer)
    before = files(out)
    refused = quick(src, out, colorizer, **change)
    assert refused.failed==1 and files(out)==before and next(iter(change)) in read_report(out)['00.jpg']['error'].lower().replace('digitalsourcetype', 'source_type')
    assert quick(src, out, colorizer, **change, overwrite=True).done==1 and files(out)!=before
    assert quick(src, out, colorizer, **change, overwrite=True).skipped==1
    assert quick(src, out, colorizer, **change, overwrite=True, resume=False).done==1

def test_a_stranger_is_not_overwritten(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),photographs(tmp_path/'out', 1)
    before = files(out)
    assert quick(src, out, colorizer).failed==1
    assert files(out)['00.jpg']==before['00.jpg'] and 'not made by this program' in read_report(out)['00.jpg']['error']

def test_dry_run_touches_nothing(tmp_path, colorizer, capsys):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    assert quick(src, out, colorizer, dry_run=True).left==2 and not out.exists()
    quick(src, out, colorizer); (src/'00.jpg').write_bytes((src/'01.jpg').read_bytes())
    before = files(out)
    got = quick(src, out, colorizer, dry_run=True)
    assert (got.skipped, got.failed)==(1, 1) and files(out)==before
    assert 'would fail: was made with source_sha256' in capsys.readouterr().out

# Failures

def test_broken_files_do_not_stop_the_rest(tmp_path, colorizer, capsys):
    src,out = photographs(tmp_path/'in', 3),tmp_path/'out'
    (src/'01.jpg').write_bytes((src/'01.jpg').read_bytes()[:900]); (src/'empty.png').touch(); (src/'text.tif').write_text('no'); (src/'gone.jpg').symlink_to('nowhere')
    got = quick(src, out, colorizer, progress=True)
    assert (got.done, got.failed, got.exit_code)==(2, 4, 1) and sorted(files(out))==['00.jpg', '02.jpg'] and not litter(out)
    said = capsys.readouterr().err
    for o in ('01.jpg', 'empty.png', 'text.tif', 'gone.jpg'): assert str(src/o) in said and str(src/o) in read_report(out)[o]['error']
    again = quick(src, out, colorizer)
    assert (again.skipped, again.failed)==(2, 4)

def test_network_failure(tmp_path, colorizer, monkeypatch):
    "One photograph is too much for the network: the others of its group are coloured"
    src,out = photographs(tmp_path/'in', 5),tmp_path/'out'
    bad = read_scan(src/'01.jpg').thumbnail_L(working_shape((90, 120), multiple=colorizer.net.cfg.multiple))
    def condition(L, hints=None):
        if torch.equal(L, bad): raise RuntimeError('out of memory')
        return Colorizer.condition(colorizer, L, hints)
    monkeypatch.setattr(colorizer, 'condition', condition); monkeypatch.setattr(colorizer, 'chunk', 4)
    got = quick(src, out, colorizer)
    assert (got.done, got.failed)==(4, 1) and '01.jpg: the network failed (RuntimeError: out of memory)' in read_report(out)['01.jpg']['error']

@pytest.mark.skipif(not hasattr(os, 'sched_getaffinity'), reason='cores are counted otherwise')
def test_the_network_leaves_cores_to_the_workers(tmp_path, colorizer, monkeypatch):
    "where that leaves the bytes as they are; and gives the threads back"
    if not colorizer.bf16: pytest.skip("in float32 threads change the last bits")
    src,used = photographs(tmp_path/'in', 3),[]
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: {0, 1})
    real = colorizer.chroma
    def chroma(cond, seeds, steps, *args): used.append((steps, torch.get_num_threads())); return real(cond, seeds, steps, *args)
    monkeypatch.setattr(colorizer, 'chroma', chroma)
    torch.set_num_threads(2)
    try:
        for bf16,want in ((True, {1}), (False, {2})):
            monkeypatch.setattr(colorizer, 'bf16', bf16); used.clear()
            assert quick(src, tmp_path/f'out{bf16}', colorizer, workers=1, steps=3).done==3
            assert {t for s,t in used if s==3}==want and torch.get_num_threads()==2
    finally: torch.set_num_threads(1)

def test_a_worker_that_dies_takes_one_photograph_with_it():
    w = Workers(1)
    try:
        tasks = [w.submit(len, 'abc'), w.submit(os._exit, 1), w.submit(len, 'ab'), w.submit(len, 'a')]
        for o in tasks: until(o.done)
        assert [w.outcome(o) for o in reversed(tasks)][::-1]==[(3, None, None), (None, '1: the process that worked on it died; is there too little memory?', None), None, None]
        again = w.submit(len, 'ab'); until(again.done)
        assert w.outcome(again)==(2, None, None) and w.deaths==0
    finally: w.close()

@pytest.fixture
def small_disk(tmp_path):
    "A file system of 400 kB"
    path = tmp_path/'disk'; path.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=400k', 'tmpfs', path], capture_output=True).returncode: pytest.skip('may not mount')
    yield path
    subprocess.run(['umount', path], check=True)

@posix
def test_full_disk(tmp_path, colorizer, small_disk, capsys):
    src = photographs(tmp_path/'in', 12, (480, 360))
    got = quick(src, small_disk/'out', colorizer, progress=True)
    assert got.exit_code==1 and got.failed==1 and got.done>0 and got.left==12-got.done-1
    said = capsys.readouterr().err
    assert 'No space left' in said and 'the same command goes on' in said
    assert len(files(small_disk/'out'))==got.done and all(whole(o) for o in (small_disk/'out').glob('*.jpg')) and not litter(small_disk/'out')
    subprocess.run(['mount', '-o', 'remount,size=8m', small_disk], check=True)
    again = quick(src, small_disk/'out', colorizer)
    assert (again.skipped, again.done, again.exit_code)==(got.done, 12-got.done, 0) and set(read_report(small_disk/'out'))==set(files(src))

@posix
def test_read_only_target(tmp_path, colorizer, small_disk):
    src = photographs(tmp_path/'in', 2)
    subprocess.run(['mount', '-o', 'remount,ro', small_disk], check=True)
    for out in (small_disk, small_disk/'out'):
        with pytest.raises(OSError, match='Read-only.*disk'): quick(src, out, colorizer)

def test_bad_settings_name_themselves(tmp_path, colorizer):
    src = photographs(tmp_path/'in', 1)
    for kwargs in (dict(steps=0), dict(saturation=-1), dict(temperature=-1), dict(working_size=100), dict(workers=-1), dict(batch=0), dict(format='gif'), dict(bits=16, format='jpeg'), dict(source_type='a b')):
        with pytest.raises(ValueError, match=next(iter(kwargs)).replace('bits', '16')): quick(src, tmp_path/'out', colorizer, **kwargs)
    assert not (tmp_path/'out').exists()
    with pytest.raises(ValueError, match='must be a folder'): quick(src/'00.jpg', tmp_path/'out', colorizer)

def test_report_on_a_line_cut_short(tmp_path):
    (tmp_path/'report.jsonl').write_text('{"path": "a.j')
    r = Report(tmp_path); r.add(dict(path='b.jpg')); r.close()
    assert list(read_report(tmp_path))==['b.jpg']

# Interruptions, from the command line

def alive(group):
    "Processes of a group that are not zombies"
    out = []
    for o in Path('/proc').glob('[0-9]*/stat'):
        try: stat = o.read_text().rpartition(')')[2].split()
        except OSError: continue
        if int(stat[2])==group and stat[0]!='Z': out.append(int(o.parent.name))
    return out

@posix
@pytest.mark.parametrize('wait', [0., 0.2, 0.5])
def test_ctrl_c_while_the_workers_are_being_born(tmp_path, model, wait):
    "It is neither lost nor does it leave a worker behind that complains"
    src,out = photographs(tmp_path/'in', 12, (400, 300)),tmp_path/'out'
    p = start(model, src, out)
    until(lambda: out.exists() and (out/'report.jsonl').exists() or p.poll() is not None); time.sleep(wait)
    os.killpg(p.pid, signal.SIGINT)
    said = p.communicate(timeout=60)[1]
    assert p.returncode==130 and 'interrupted' in said and 'Traceback' not in said, said
    assert all(whole(out/o) for o in files(out)) and not litter(out)

@posix
def test_ctrl_c_then_kill_then_two_at_once(tmp_path, model, colorizer):
    src,out = photographs(tmp_path/'in', 24, (400, 300)),tmp_path/'out'
    made = lambda: len(files(out)) if out.exists() else 0
    p = start(model, src, out)
    until(lambda: made()>2 or p.poll() is not None); os.killpg(p.pid, signal.SIGINT) # as a terminal does
    said = p.communicate(timeout=60)[1]
    assert p.returncode==130 and 'the same command goes on from here' in said and 'Traceback' not in said
    first = made()
    assert 2<first<24 and all(whole(out/o) for o in files(out)) and not litter(out) and (out/'report.csv').exists()

    p = start(model, src, out)
    until(lambda: made()>first+2 or p.poll() is not None); os.kill(p.pid, signal.SIGKILL)
    p.communicate(timeout=60)
    until(lambda: not alive(p.pid), 20) # its workers follow
    second = made()
    assert first+2<second<24 and all(whole(out/o) for o in files(out)) and all(o.endswith('.claim') for o in litter(out))

    both = [start(model, src, out) for _ in range(2)]
    ends = [(*p.communicate(timeout=90), p.returncode) for p in both]
    assert all(o[2]==0 for o in ends), ends
    assert made()==24 and not litter(out)
    good = [o['path'] for o in rows(out) if not o['error']]
    assert len(good)==len(set(good))==24 # none was made twice
    assert quick(src, tmp_path/'ref', colorizer).done==24 and files(tmp_path/'ref')==files(out)

@posix
def test_a_script_without_main_guard(tmp_path, model):
    "and with workers of its own importable name space: the user's script runs once"
    src = photographs(tmp_path/'in', 2)
    script = tmp_path/'script.py'
    script.write_text(f"print('hello')\nfrom colorized.batch.folder import colorize_folder\nfrom colorized.inference.colorizer import Colorizer\n"
                      f"s = colorize_folder({str(src)!r}, {str(tmp_path/'out')!r}, Colorizer.from_pretrained({str(model)!r}, 'cpu'), steps=1)\nprint(s.done)\n")
    p = subprocess.run([sys.executable, script], env=env, capture_output=True, text=True, timeout=100)
    assert p.stdout=='hello\n2\n' and p.returncode==0, p.stderr
