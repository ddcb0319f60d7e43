"From a manifest to a published folder: faults, politeness, going on, and the command"
import io, itertools, json, os, shutil, signal, subprocess, sys, time
from collections import Counter
from functools import partial
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from colorized.photo.provenance import read_provenance
from colorized.batch.ledger import read_report
from colorized.cli.main import main
from colorized.iiif.fetch import Fetcher
from colorized.iiif import addresses
from colorized.iiif.image import write_tiles
from colorized.iiif.manifest import find_pictures
from colorized.iiif.output import OutputFolder
from colorized.iiif.publish import colorize_manifest
from colorized.photo.reading import read_scan
from manifest_samples import painted_bodies, valid
from museum import (
    album, body, broken_off, canvas, cut, files_album, gray, hang, level0, slow, small, status)
from tile_trees import read_tree

HOME = 'http://localhost:8000/' # where a folder is published if nobody says otherwise
ND = 'http://creativecommons.org/licenses/by-nd/4.0/'

def result(out):
    return json.loads((out/'manifest.json').read_text('utf-8'))

def leftovers(folder):
    return [str(p.relative_to(folder)) for p in folder.rglob('.*') if p.name!='.cache']

def contents(folder):
    return {p.name: p.read_bytes() for p in folder.iterdir()}

@pytest.fixture
def colorize(museum, tmp_path, colorizer):
    "Colors the museum's album into `tmp_path/'out'`, quickly"
    source = f'{museum.url}/album.json'
    return partial(colorize_manifest, source, tmp_path/'out', colorizer, rate=100)

# Which picture

def test_a_part_of_a_picture_is_not_taken_for_the_whole(museum, tmp_path, colorize):
    """Two canvases show the halves of one spread, and a third the whole by the same words; the
    service has all three"""
    u = museum.url
    write_tiles(small(tmp_path/'s.jpg', 200, 100), museum.folder/'s', f'{u}/s', tile=100)
    halves = ['0,0,100,100/100,100', '100,0,100,100/100,100']
    service = level0(u, 's', width=200, height=100)['service']
    names = [f'{u}/s/{o}/0/default.jpg' for o in [*halves, '0,0,200,100/100,50']]
    album(museum, [dict(id=o, service=service) for o in names])
    assert colorize(retries=0, progress=False).done==3
    colors = [b['items'][1] for b in painted_bodies(result(tmp_path/'out'))]
    assert [(o['width'], o['height']) for o in colors]==[(100, 100), (100, 100), (200, 100)]
    for o,half in zip(colors, halves):
        got = gray(tmp_path/'out'/o['id'].removeprefix(HOME))
        assert abs(got-gray(museum.folder/f's/{half}/0/default.jpg')).mean()<2

def test_jpg_is_jpeg():
    "Also in Python"
    with pytest.raises(ValueError, match="got 'tif'"): colorize_manifest('a', 'b', format='tif')
    with pytest.raises(ValueError, match='size must'): # the format has passed by then
        colorize_manifest('a', 'b', format='jpg', tiles=True, size=0)

def test_a_web_page_instead_of_info(museum, tmp_path, colorize, capsys):
    "A page that a server shows for whatever it does not have is no info.json, asked for once"
    u = museum.url
    small(museum.folder/'p.jpg')
    museum.faults = {'/p/info.json': body(b'<html>Our collections</html>')}
    service = dict(id=f'{u}/p', type='ImageService3', profile='level2')
    album(museum, [dict(id=f'{u}/p.jpg', service=[service])])
    assert colorize(retries=1).done==1
    assert museum.asked()==['/album.json', '/p/info.json', '/p.jpg']
    assert 'no info.json (HTTP 200, but no JSON)' in capsys.readouterr().err

def test_the_manifest_tells_what_the_service_does_not(museum, tmp_path, colorize, capsys):
    "Without an info.json, the size and level in the manifest are enough to ask the service"
    u = museum.url
    write_tiles(small(tmp_path/'t.jpg', 300, 200), museum.folder/'t', f'{u}/t', tile=100)
    (museum.folder/'t/info.json').unlink()
    album(museum, [level0(u, 't', width=300, height=200)])
    assert colorize(retries=0).done==1 and 'info.json' not in capsys.readouterr().err
    assert museum.asked()==['/album.json', '/t/info.json', '/t/full/max/0/default.jpg']

def test_smaller_pictures(museum, tmp_path, colorize, capsys):
    """`size` asks the service for less, and with `overwrite` colors again; a file without a service
    stays as it is, and that is said"""
    u = museum.url
    write_tiles(small(tmp_path/'t.jpg', 300, 200), museum.folder/'t', f'{u}/t', tile=64)
    small(museum.folder/'f.jpg', 300, 200)
    album(museum, [level0(u, 't'), dict(id=f'{u}/f.jpg')])
    run = partial(colorize, tiles=True)
    def shapes():
        bodies = [o for b in painted_bodies(result(tmp_path/'out')) for o in b['items'][1:]]
        return [(o['width'], o['height']) for o in bodies]
    assert run().done==2 and shapes()==[(300, 200), (300, 200)]
    capsys.readouterr()
    assert run(size=100).failed==2 and shapes()==[(300, 200), (300, 200)]
    assert 'was made with size None (now 100); overwrite replaces it' in capsys.readouterr().err
    museum.log.clear()
    assert run(size=100, overwrite=True).done==2 and shapes()==[(75, 50), (300, 200)]
    assert museum.asked()==['/album.json', '/t/full/75,50/0/default.jpg']
    said = capsys.readouterr().err
    assert 'f.jpg: 300×200 pixels, as nothing there makes it smaller' in said
    assert said.count('makes it smaller')==1
    tree = next((tmp_path/'out/tiles').glob('t-*'))
    assert json.loads((tree/'info.json').read_text())['width']==75
    assert run(size=100).skipped==2

@pytest.mark.filterwarnings('ignore::PIL.Image.DecompressionBombWarning') # half a bomb
def test_no_limit_but_ours(museum, tmp_path, colorize, monkeypatch):
    """Pillow takes what is twice its limit for a bomb (179 megapixels, ours are 250): a picture
    from tiles, one whole, and the tiles that are written"""
    for k in 'ab':
        write_tiles(small(tmp_path/f'{k}.jpg', 700, 100), museum.folder/k, f'{museum.url}/{k}')
    shutil.rmtree(museum.folder/'a/full')
    album(museum, [level0(museum.url, k) for k in 'ab'])
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 34_000)
    assert colorize(retries=0, tiles=True, progress=False).done==2
    assert len(list((tmp_path/'out/tiles').iterdir()))==2

def test_credit_that_an_image_service_demands(museum, tmp_path, colorize, capsys):
    """Versions 2 and 3 of info.json: what they say of rights is given to the color version, the
    next time as well, and a refusal is repeated"""
    u = museum.url
    v2 = dict(license=ND, attribution='(c) The photographer', logo=f'{u}/logo.png')
    for i,(k,more) in enumerate(dict(v2=v2, v3=dict(rights=ND), none={}).items()):
        write_tiles(small(tmp_path/f'{k}.jpg', x=40*i), museum.folder/k, f'{u}/{k}')
        info = museum.folder/k/'info.json'
        info.write_text(json.dumps({**json.loads(info.read_text()), **more}))
    album(museum, [level0(u, k) for k in ('v2', 'v3', 'none')])
    assert colorize(retries=0).done==3
    assert capsys.readouterr().err.count(f'{ND}, which allows no changed versions')==2
    first = result(tmp_path/'out')
    v2,v3,none = [b['items'][1] for b in painted_bodies(first)]
    assert v2['rights']==v3['rights']==ND
    assert v2['requiredStatement']['value']=={'none': ['(c) The photographer']}
    assert v2['provider'][0]['logo'][0]['id']==f'{u}/logo.png'
    assert not {'rights', 'requiredStatement', 'provider'} & {*none} and valid(first)
    assert colorize(retries=0).skipped==3 and result(tmp_path/'out')==first

def test_a_credit_has_a_limit(museum, tmp_path, colorize):
    "It would be written at each of thousands of places"
    u = museum.url
    write_tiles(small(tmp_path/'a.jpg'), museum.folder/'a', f'{u}/a')
    info = museum.folder/'a/info.json'
    info.write_text(json.dumps({**json.loads(info.read_text()), 'attribution': 'x'*10_000}))
    album(museum, [level0(u, 'a')])
    assert colorize(retries=0).failed==1
    assert 'a credit of over' in read_report(tmp_path/'out')[f'{u}/a']['error']

def test_names_are_kept_from_one_manifest_to_the_next(museum, tmp_path, colorize, monkeypatch):
    "The folder knows whose they are"
    monkeypatch.setattr(OutputFolder, 'names', lambda self: {taken: 'another'})
    doc = files_album(museum, 1)
    taken = find_pictures(doc)[0][0].name
    assert colorize().done==1
    (file,) = (tmp_path/'out/color').iterdir()
    assert file.stem!=taken and file.stem.startswith(taken)

def test_a_label_says_nothing_to_the_terminal(museum, colorize, capsys):
    doc = album(museum, [dict(id=f'{museum.url}/a.mp4')])
    page = doc['items'][0]
    page['label'] = {'none': ['\x1b]0;owned\x07\ncolorized: all is well']}
    page['items'][0]['items'][0]['body']['type'] = 'Video'
    (museum.folder/'album.json').write_text(json.dumps(doc))
    assert colorize().others==1
    said = capsys.readouterr().err
    assert r'\x1b]0;owned\x07\ncolorized: all is well' in said and len(said.splitlines())==2

# Servers that misbehave

FAULTY = ['busy', 'gone', 'cut', 'brokenoff', 'hanging', 'html', 'small', 'noinfo', 'badinfo',
          'dead', 'color', 'good']
GOOD = {'busy', 'brokenoff', 'hanging', 'noinfo', 'good'} # nothing that lasts

@pytest.fixture
def faulty_museum(museum, tmp_path, monkeypatch):
    "Each picture has its own fault; the pauses after one are a tenth of those a museum is given"
    rest = Fetcher.rest
    monkeypatch.setattr(Fetcher, 'rest', lambda self, seconds: rest(self, seconds/10))
    u = museum.url
    for i,k in enumerate(FAULTY):
        write_tiles(small(tmp_path/f'{k}.jpg', x=30*i), museum.folder/k, f'{u}/{k}', tile=512)
        if k in ('busy', 'hanging', 'noinfo', 'html', 'small', 'cut'): # there is only the whole
            for p in (museum.folder/k).iterdir():
                if p.is_dir() and p.name!='full': shutil.rmtree(p)
    squares = np.random.default_rng(0).integers(0, 255, (4, 6, 3), np.uint8)
    colorful = Image.fromarray(np.kron(squares, np.ones((25, 25, 1), np.uint8)))
    colorful.save(museum.folder/'color/full/max/0/default.jpg', quality=95)
    tiny = io.BytesIO()
    Image.new('L', (40, 40), 200).save(tiny, 'JPEG')
    everywhere = dict(gone=status(404), cut=cut, html=body(b'<html>Not available</html>'),
                      dead=status(500), small=body(tiny.getvalue()))
    for k,fault in everywhere.items():
        files = (museum.folder/k).rglob('*.jpg')
        museum.faults.update({f'/{p.relative_to(museum.folder)}': fault for p in files})
    whole = lambda k: f'/{k}/full/max/0/default.jpg'
    museum.faults.update({
        whole('busy'): [status(503, Retry_After=1)],
        whole('brokenoff'): [broken_off],
        whole('hanging'): [hang],
        '/noinfo/info.json': status(404),
        '/badinfo/info.json': body(b'{"width": "wide"}')})
    return museum

def test_faults_are_named_and_the_rest_goes_on(faulty_museum, tmp_path, colorize, capsys):
    u,out = faulty_museum.url,tmp_path/'out'
    doc = album(faulty_museum, [level0(u, k) for k in FAULTY])
    done = colorize(retries=1, timeout=2)
    errors = {Path(k).name: row.get('error') for k,row in read_report(out).items()}
    assert (done.done, done.failed, done.in_color, done.exit_code)==(len(GOOD), 6, 1, 1)
    assert {k for k,e in errors.items() if not e}==GOOD|{'color'}
    causes = dict(gone='HTTP 404', cut='truncated', html='not a photograph', small='40×40',
                  badinfo='info.json', dead='HTTP 500')
    for k,say in causes.items(): assert say in errors[k] and f'{u}/{k}' in errors[k], errors[k]
    said = capsys.readouterr().err
    for i,k in enumerate(FAULTY):
        named = f'canvas {u}/canvas/{i} ("Page {i}"), {u}/{k}: ' in said
        assert named==(k not in GOOD-{'noinfo'}), k
    assert 'failed 6' in said and 'in color already 1' in said
    new = painted_bodies(result(out))
    assert {k for k,b in zip(FAULTY, new) if b['type']=='Choice'}==GOOD and valid(result(out))
    for k,b,was in zip(FAULTY, new, painted_bodies(doc)):
        if k not in GOOD: assert b==was # the page keeps its original alone

def test_a_server_that_is_put_right_is_asked_for_what_failed(faulty_museum, tmp_path, colorize):
    museum,out = faulty_museum,tmp_path/'out'
    album(museum, [level0(museum.url, k) for k in FAULTY])
    run = partial(colorize, retries=1, timeout=2, progress=False)
    run()
    museum.faults.clear()
    museum.log.clear()
    again = run()
    assert (again.done, again.failed, again.skipped, again.in_color)==(6, 0, 5, 1)
    assert again.exit_code==0
    failed = {'gone', 'cut', 'html', 'small', 'badinfo', 'dead'}
    assert {p.split('/')[1] for p in museum.asked()}=={'album.json', *failed}
    museum.log.clear()
    third = run()
    assert (third.done, third.skipped, museum.asked())==(0, 11, ['/album.json'])
    kinds = [b['type'] for b in painted_bodies(result(out))]
    assert kinds.count('Choice')==11 and not leftovers(out)

@pytest.mark.parametrize('left', [b'', b'\xff\xd8\xff', b'{"wid'])
def test_what_a_power_cut_left_in_the_cache_is_fetched_again(museum, tmp_path, colorize, left):
    files_album(museum, 1)
    path = Fetcher(tmp_path/'out/.cache').cache_path(f'{museum.url}/photo0.jpg')
    path.parent.mkdir(parents=True)
    path.write_bytes(left)
    assert colorize(retries=0, progress=False).done==1
    assert path.read_bytes()==(museum.folder/'photo0.jpg').read_bytes()

def test_a_manifest_of_the_internet_leads_to_the_internet(museum, tmp_path, clock, colorizer,
                                                          monkeypatch):
    """Here 127.0.0.1 plays the internet and localhost the network of whoever colors; a redirect
    and an address are refused alike, and another host has its own pace"""
    u,inside = museum.url,museum.url.replace('127.0.0.1', 'localhost')
    for i in range(3): small(museum.folder/f'photo{i}.jpg')
    museum.faults = {'/moved.jpg': status(302, Location=f'{inside}/photo1.jpg')}
    files = f'{u}/photo0.jpg', f'{u}/moved.jpg', f'{inside}/photo2.jpg'
    album(museum, [dict(id=o) for o in files])
    run = partial(colorize_manifest, f'{u}/album.json', colorizer=colorizer, rate=4, retries=0,
                  progress=False)
    assert run(out=tmp_path/'mine').done==3 and run(out=tmp_path/'mine').requests==1
    times = [t for t,_,h in museum.log if h['Host'].startswith('localhost')]
    assert len(times)==2 and times[1]-times[0]==pytest.approx(1/4)
    monkeypatch.setattr(addresses.Hosts, 'is_private', lambda self, url: 'localhost' in url)
    monkeypatch.setattr(addresses, 'is_public', lambda address: True)
    museum.log.clear()
    assert run(out=tmp_path/'out').failed==2
    assert not any(h['Host'].startswith('localhost') for _,_,h in museum.log)
    errors = [o['error'] for o in read_report(tmp_path/'out').values() if o['error']]
    assert len(errors)==2 and all(inside in o and 'private network' in o for o in errors)

def test_politeness_as_the_server_sees_it(museum, tmp_path, clock, colorizer):
    """Never two requests at once, never faster than asked, not at all while it says it is busy; and
    it can tell who we are"""
    u = museum.url
    doc = files_album(museum, 3)
    write_tiles(small(tmp_path/'t.jpg', 300, 200), museum.folder/'t', f'{u}/t', tile=128)
    shutil.rmtree(museum.folder/'t/full')
    doc['items'].append(canvas(u, 3, level0(u, 't'), 300, 200))
    (museum.folder/'album.json').write_text(json.dumps(doc))
    museum.faults.update({'/photo1.jpg': [status(429, Retry_After=1)], '/photo2.jpg': slow})
    run = colorize_manifest(f'{u}/album.json', tmp_path/'out', colorizer, rate=8, progress=False)
    assert run.done==4 and run.requests==len(museum.log)
    i,j = (museum.asked().index(f'/photo{k}.jpg') for k in (1, 2))
    gaps = np.full(len(museum.log)-1, 1/8)
    gaps[[i, j]] = 1,0.3+0.75/8 # after the busy one and the slow one
    assert museum.most==1 and np.diff([t for t,_,_ in museum.log])==pytest.approx(gaps)
    assert museum.asked()[i+1]=='/photo1.jpg'
    agents = {h['User-Agent'] for _,_,h in museum.log}
    assert all(o.startswith('colorized/') and 'http' in o for o in agents)
    # manifest; files, one of them twice; info.json, the whole twice in vain, 6 tiles
    assert len(museum.log)==1+4+1+2+6, museum.asked()
    assert max(Counter(museum.asked()).values())==2

# Going on

def test_new_settings_need_overwrite_and_nothing_of_the_server(museum, tmp_path, colorize, capsys):
    "So do tiles; a spoiled file is made again"
    out = tmp_path/'out'
    files_album(museum, 2, rights=ND)
    assert colorize().done==2 and 'by-nd' in capsys.readouterr().err
    first = contents(out/'color')
    museum.log.clear()
    assert colorize(seed=1).failed==2 and 'overwrite replaces it' in capsys.readouterr().err
    assert contents(out/'color')==first
    assert colorize(seed=1, overwrite=True, tiles=True).done==2
    second = contents(out/'color')
    assert all(first[k]!=second[k] for k in first)
    assert colorize(seed=1, quality=60).failed==2 and contents(out/'color')==second
    assert colorize(seed=1, quality=60, overwrite=True).done==2
    assert all(len(v)<len(second[k]) for k,v in contents(out/'color').items())
    assert colorize(seed=1, overwrite=True, tiles=True).done==2
    name = sorted(second)[0]
    (out/'color'/name).write_bytes(second[name][:-500])
    mended = colorize(seed=1, tiles=True)
    assert (mended.done, mended.skipped)==(1, 1)
    whole = out/'tiles'/Path(name).stem/'full/max/0/default.jpg'
    assert (out/'color'/name).read_bytes()==second[name]==whole.read_bytes()
    assert set(museum.asked())=={'/album.json'}

def test_file_and_manifest_say_the_same(museum, tmp_path, colorize, colorizer):
    files_album(museum, 1)
    colorize(seed=1, progress=False)
    said = read_provenance(next((tmp_path/'out/color').iterdir()))
    lines = painted_bodies(result(tmp_path/'out'))[0]['items'][1]['metadata']
    lines = {m['label']['en'][0]: [*m['value'].values()][0][0] for m in lines}
    assert said['Seed']=='1' and lines['Seed, steps'].startswith('1, ')
    assert said['ModelSHA256']==lines['Model, SHA-256']==colorizer.sha256
    assert said['DigitalSourceType']==lines['Digital source type']

def facts(out):
    "What the report says of the color versions"
    names = 'output','output_sha256','source_sha256','seed'
    return {k: [o[c] for c in names] for k,o in read_report(out).items()}

def errors_of(out):
    return [o['error'] for o in read_report(out).values() if o['error']]

def test_what_is_published_outlives_a_failed_run(museum, tmp_path, colorize):
    """Other settings without `overwrite`, a server that is gone: manifest and report still offer
    what is there, as it was made; the next run asks for nothing"""
    files_album(museum, 2)
    run,out = partial(colorize, retries=0, tiles=True, progress=False),tmp_path/'out'
    assert run().done==2
    first,rows = result(out),facts(out)
    assert run(seed=1).failed==2 and result(out)==first # the seed among its metadata
    assert facts(out)==rows and all('overwrite' in o for o in errors_of(out))
    assert len(errors_of(out))==2
    shutil.rmtree(out/'.cache')
    museum.faults = {f'/photo{i}.jpg': status(404) for i in range(2)}
    assert run(size=40).failed==2 and result(out)==first
    museum.log.clear()
    last = run()
    assert (last.skipped, last.failed, museum.asked())==(2, 0, ['/album.json'])
    assert result(out)==first and facts(out)==rows and not errors_of(out)

def test_a_spoilt_file_is_offered_no_more(museum, tmp_path, colorize):
    "The other one is, with tiles that know their new address"
    u,out,archive = museum.url,tmp_path/'out','https://archive.example'
    files_album(museum, 2)
    run = partial(colorize, retries=0, tiles=True, progress=False)
    run()
    spoiled = out/read_report(out)[f'{u}/photo0.jpg']['output']
    spoiled.write_bytes(spoiled.read_bytes()[:-500])
    moved = run(base_url=archive, seed=1)
    bodies = painted_bodies(result(out))
    assert moved.failed==2 and [b['type'] for b in bodies]==['Image', 'Choice']
    assert not read_report(out)[f'{u}/photo0.jpg']['output']
    tree = bodies[1]['items'][1]['service'][0]['id']
    info = out/tree.removeprefix(f'{archive}/')/'info.json'
    assert tree.startswith(archive) and json.loads(info.read_text())['id']==tree

def test_what_nobody_expected_is_a_failed_picture(museum, tmp_path, colorize, monkeypatch, capsys):
    files_album(museum, 2)
    real = OutputFolder.write_color
    def write(self, p, original):
        if 'photo0' in p.key: raise TypeError('complex')
        return real(self, p, original)
    monkeypatch.setattr(OutputFolder, 'write_color', write)
    done = colorize()
    assert (done.done, done.failed)==(1, 1) and valid(result(tmp_path/'out'))
    assert errors_of(tmp_path/'out')==['TypeError: complex']
    assert 'photo0.jpg: TypeError: complex' in capsys.readouterr().err

def test_a_full_disk_stops_the_run(museum, tmp_path, colorize, capsys, monkeypatch):
    files_album(museum, 4)
    n = itertools.count()
    def full(*args, **kwargs):
        if next(n)==1: raise OSError(28, os.strerror(28))
        return write_tiles(*args, **kwargs)
    monkeypatch.setattr('colorized.iiif.output.write_tiles', full)
    done = colorize(tiles=True)
    assert (done.done, done.failed, done.exit_code)==(1, 1, 1) and done.stopped==os.strerror(28)
    assert not (tmp_path/'out/manifest.json').exists()
    assert 'the same command goes on from here' in capsys.readouterr().err
    again = colorize(tiles=True)
    assert (again.done+again.skipped, again.failed, again.exit_code)==(4, 0, 0)
    assert len(list((tmp_path/'out/tiles').iterdir()))==4 and valid(result(tmp_path/'out'))

def test_a_report_that_cannot_be_written_is_a_failure(museum, colorize, monkeypatch):
    files_album(museum, 1)
    def full(*_): raise OSError(28, os.strerror(28))
    monkeypatch.setattr('colorized.batch.ledger._write_csv', full)
    done = colorize(progress=False, steps=1)
    assert (done.done, done.failed, done.exit_code)==(1, 0, 1)
    assert done.unreported.endswith(f'report.csv: {os.strerror(28)}')

def test_an_interrupted_run_lets_the_server_be(museum, tmp_path, colorize, monkeypatch):
    "Ctrl-C while a picture is colored: the background gives up its wait, the folder is free again"
    files_album(museum, 3)
    museum.faults['/photo1.jpg'] = status(503, Retry_After=60)
    def interrupted(*args, **kwargs):
        time.sleep(0.5) # the next is on its way by now
        raise KeyboardInterrupt
    monkeypatch.setattr('colorized.iiif.output.OutputFolder.write_color', interrupted)
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt): colorize(progress=False)
    assert time.monotonic()-start<30 and museum.asked().count('/photo1.jpg')==1
    assert not (tmp_path/'out/manifest.json').exists() and not leftovers(tmp_path/'out')

# The command

def arguments(museum, out):
    return ['iiif', f'{museum.url}/album.json', '--out', str(out), '--rate', '50', '--tiles',
            '--retries', '0', '--device', 'cpu']

def kill_after_three(museum, out):
    "Run the command, and kill it when it has colored three pictures: those that it has"
    program = Path(sys.executable).parent/'colorized'
    env = dict(os.environ, OMP_NUM_THREADS='1', NO_PROXY='127.0.0.1')
    p = subprocess.Popen([str(program), *arguments(museum, out)], env=env,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made = lambda: list((out/'color').glob('photo*.jpg'))
    for _ in range(1200):
        if len(made())>=3 or p.poll() is not None: break
        time.sleep(0.05)
    p.send_signal(signal.SIGKILL)
    p.wait()
    return made()

def test_killed_and_gone_on_with(museum, tmp_path, capsys):
    files_album(museum, 8)
    out,u = tmp_path/'out',museum.url
    museum.faults = {f'/photo{i}.jpg': slow for i in range(2, 8)}
    made = kill_after_three(museum, out)
    assert 3<=len(made)<8 and not (out/'manifest.json').exists() # it comes last
    for o in made: assert read_scan(o).shape==(100, 150) and read_provenance(o)
    for o in (out/'tiles').glob('photo*'):
        assert json.loads((o/'info.json').read_text())['width']==150
        assert read_tree(o, 1).shape==(100, 150, 3)
    (out/'tiles/.photo-x.01234567.tmp').mkdir() # as a kill in mid-write leaves them
    (out/'color/.photo-x.jpg.01234567.tmp').write_bytes(b'half')
    museum.faults = {'/photo7.jpg': status(404)}
    museum.log.clear()
    assert main(arguments(museum, out))==1
    said,rows = capsys.readouterr().err,read_report(out)
    assert f'canvas {u}/canvas/7 ("Page 7"), {u}/photo7.jpg: HTTP 404' in said
    assert 'done before' in said
    assert sum(not o.get('error') for o in rows.values())==7
    for o in made: assert '/'+o.name.split('-')[0]+'.jpg' not in museum.asked()
    bodies = painted_bodies(result(out))
    assert [b['type'] for b in bodies]==['Choice']*7+['Image'] and valid(result(out))
    assert len(list((out/'tiles').iterdir()))==7 and not leftovers(out)
    for b in bodies[:7]: # as a web server would hand the folder out
        tree = b['items'][1]['service'][0]['id']
        assert (out/b['items'][1]['id'].removeprefix(HOME)).exists()
        assert json.loads((out/tree.removeprefix(HOME)/'info.json').read_text())['id']==tree

def test_unusable_manifest_is_one_line(museum, tmp_path, capsys):
    (museum.folder/'album.json').write_text('<html>')
    try: code = main(arguments(museum, tmp_path/'out'))
    except SystemExit as e: code = e.code
    said = capsys.readouterr().err.strip()
    assert code not in (0, None) and len(said.splitlines())==1
    assert f'{museum.url}/album.json: not JSON' in said and not (tmp_path/'out').exists()
