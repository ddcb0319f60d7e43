"The published folder: what is done, what is not, and whose the folder is"
import json, os, socket, subprocess, sys
import numpy as np, pytest
from colorized.batch.claims import Claims
from colorized.iiif.fetch import IIIFError
from colorized.iiif.image import Download
from colorized.iiif.manifest import Picture
from colorized.iiif.output import OutputFolder, claimed, protect_manifest
from colorized.iiif.publish import colorize_manifest
from museum import files_album, small

PICTURE = Picture('https://museum.example/a.jpg', {})

@pytest.fixture
def open_folder(tmp_path, colorizer):
    "The folder as a new run with these settings finds it"
    def open_folder(steps=2, format='jpeg', quality=95, **more):
        settings = colorizer.options(1, 0, steps, 1., 1., 256)
        file = dict(format=format, quality=quality)
        folder = OutputFolder(tmp_path/'out', 'https://x.org', colorizer, settings, file, **more)
        folder.report.close()
        return folder
    (tmp_path/'out').mkdir()
    return open_folder

def write(folder, tmp_path, **more):
    "A color version of a photograph in the folder and its report; its row"
    from colorized.batch.ledger import Report
    data = small(tmp_path/'a.jpg').read_bytes()
    row = {**folder.write_color(PICTURE, Download(data, False, [])), 'error': None}
    report = Report(folder.path)
    report.add(row)
    report.close()
    return row

def test_states(open_folder, tmp_path):
    assert open_folder().state(PICTURE)==('new', '')
    row = write(open_folder(), tmp_path)
    path = tmp_path/'out'/row['output']
    data = path.read_bytes()
    assert open_folder().state(PICTURE)==('done', '')
    assert open_folder(recolor=True).state(PICTURE)==('done', '')
    assert open_folder(size=100).state(PICTURE)==('other', 'was made with size None (now 100)')
    assert open_folder(quality=80).state(PICTURE)==('other', 'was made with quality 95 (now 80)')
    kind,why = open_folder(steps=3).state(PICTURE)
    assert kind=='other' and 'Steps 2 (now 3)' in why
    assert open_folder(format='png').state(PICTURE)==('new', '') # another file
    path.write_bytes(data[:-500])
    assert open_folder().state(PICTURE)==('broken', 'is cut short')
    path.write_bytes(data[:-2]+b'\xff\xff\xd9') # whole, but not the one of the report
    assert open_folder().state(PICTURE)==('broken', 'is not in the report as it is')
    path.unlink()
    assert open_folder().state(PICTURE)==('new', '')
    path.symlink_to('away.jpg') # it was moved to a disk that is not there now
    why = 'is a link to a file that is not there'
    assert open_folder().state(PICTURE)==('other', why)

def test_a_size_of_numpy(open_folder, tmp_path):
    "What the report could not hold would end the run, after the work"
    write(open_folder(size=np.int64(100)), tmp_path)
    assert open_folder(size=100).state(PICTURE)==('done', '')

def test_a_png_has_no_quality(open_folder, tmp_path):
    write(open_folder(format='png'), tmp_path)
    assert open_folder(format='png', quality=80).state(PICTURE)==('done', '')

def test_what_was_left_alone_is_left_alone(open_folder, tmp_path):
    folder = open_folder()
    folder.rows[PICTURE.key] = dict(tone='color', output=None, asked=None)
    assert folder.state(PICTURE)==('in color', '')
    folder.recolor = True
    assert folder.state(PICTURE)==('new', '')
    folder.recolor,folder.size = False,100
    assert folder.state(PICTURE)==('new', '')

def test_a_row_is_kept_with_its_file(open_folder, tmp_path):
    "What the report tells of a file that is not there as it was is not told again"
    assert open_folder().kept_row(PICTURE)=={}
    row = write(open_folder(), tmp_path)
    assert open_folder().kept_row(PICTURE)['output_sha256']==row['output_sha256']
    (tmp_path/'out'/row['output']).write_bytes(b'spoiled')
    assert open_folder().kept_row(PICTURE)=={}
    (tmp_path/'out'/row['output']).unlink()
    assert open_folder().kept_row(PICTURE)=={}
    (tmp_path/'out'/row['output']).mkdir()
    assert open_folder().kept_row(PICTURE)=={}
    folder = open_folder()
    folder.rows[PICTURE.key] = dict(output=None, tone='color')
    assert folder.kept_row(PICTURE)==dict(output=None, tone='color')

@pytest.mark.parametrize('change', [
    dict(output='../secret.jpg'), dict(output='/etc/secret.jpg'), dict(output='color/../a.jpg'),
    dict(output=['color/a.jpg']), dict(output=None), dict(width=None), dict(height='9'),
    dict(made=dict(other=1)), dict(made=[1]), dict(made='x'), dict(made=dict(seed=1)),
    dict(made=dict(source_type=['x'])), dict(credit='x'), dict(credit=dict(id='https://evil')),
    dict(output_sha256=None)], ids=str)
def test_rows_of_others_are_passed_over(open_folder, tmp_path, change):
    "A report may have been written by anybody"
    from colorized.batch.ledger import Report
    row = write(open_folder(), tmp_path)
    assert open_folder().rows[PICTURE.key]['made']==row['made']
    report = Report(tmp_path/'out')
    report.add({**row, **change})
    report.close()
    folder = open_folder()
    assert not folder.rows and folder.kept_row(PICTURE)=={} and folder.state(PICTURE)[0]=='broken'

def test_tiles_follow_the_color_version(open_folder, tmp_path):
    folder = open_folder()
    row = write(folder, tmp_path)
    tree = tmp_path/'out/tiles'/PICTURE.name
    assert not folder.has_tiles(PICTURE, row)
    folder.update_tiles(PICTURE, row)
    assert folder.has_tiles(PICTURE, row)
    assert not folder.has_tiles(PICTURE, {**row, 'output_sha256': '00'})
    (tree/'info.json').unlink()
    assert not folder.has_tiles(PICTURE, row)
    folder.update_tiles(PICTURE, row)
    before = (tree/'info.json').read_text()
    times = {o: o.stat().st_mtime_ns for o in tree.rglob('*.jpg')}
    folder.base = 'https://archive.example'
    folder.update_tiles(PICTURE, row)
    after = (tree/'info.json').read_text()
    assert after==before.replace('https://x.org', 'https://archive.example')+'\n'
    assert {o: o.stat().st_mtime_ns for o in tree.rglob('*.jpg')}==times

def test_what_the_report_says_of_the_original(open_folder, tmp_path):
    "A file that was put together from tiles has no hash that anybody could compare"
    data = small(tmp_path/'a.jpg').read_bytes()
    nd = 'http://creativecommons.org/licenses/by-nd/4.0/'
    row = open_folder().write_color(PICTURE, Download(data, True, ['a remark'], dict(rights=nd)))
    assert row['source_sha256'] is None and row['credit']==dict(rights=nd)
    assert row['warnings'][0]=='a remark' and nd in row['warnings'][1]
    assert row['source_bytes']==len(data) and (row['width'], row['height'])==(150, 100)

def pipe(path): os.mkfifo(path)

@pytest.mark.parametrize('damage', [
    lambda o: o.write_text(''), lambda o: o.write_text('[1]'), lambda o: o.write_text('{}'),
    lambda o: o.write_bytes(b'\xff'), lambda o: o.mkdir(), pipe], ids=range(6))
def test_tiles_whose_description_is_damaged_are_made_again(open_folder, tmp_path, damage):
    folder = open_folder()
    row = write(folder, tmp_path)
    folder.update_tiles(PICTURE, row)
    info = tmp_path/'out/tiles'/PICTURE.name/'info.json'
    before = info.read_text()
    info.unlink()
    damage(info)
    assert not folder.has_tiles(PICTURE, row)
    folder.update_tiles(PICTURE, row)
    assert folder.has_tiles(PICTURE, row) and info.read_text()==before

LEFT = '.manifest.json', 'color/.b.jpg', '.cache/0f/.0f1b'
OTHERS = ('color/a.tmp', 'color/.b.tmp', 'notes.tmp', '.git.old.tmp', 'tiles/.c.tmp',
          '.cache/0f/0f1a')

def leave_behind(out):
    "What a killed run has begun, and what is none of its"
    (out/'tiles/.a.0123abcd.tmp').mkdir(parents=True)
    (out/'tiles/.a.0123abcd.tmp/info.json').write_text('{}')
    for o in (*[f'{o}.0123abcd.tmp' for o in LEFT], *OTHERS):
        (out/o).parent.mkdir(parents=True, exist_ok=True)
        (out/o).write_bytes(b'1')

def file_names(out):
    return {o.relative_to(out).as_posix() for o in out.rglob('*') if o.is_file()}

def test_leftovers_of_a_killed_run_go(tmp_path):
    "Files and folders, of any age; whatever else is there stays"
    out = tmp_path/'out'
    leave_behind(out)
    dead = dict(pid=4_000_000, host=socket.gethostname(), start='')
    (out/'.manifest.json.claim').write_text(json.dumps(dead))
    with claimed(out):
        assert file_names(out)=={*OTHERS, '.manifest.json.claim'}
        assert not (out/'tiles/.a.0123abcd.tmp').exists()
    assert file_names(out)=={*OTHERS}

def test_what_another_process_may_be_writing_stays_for_an_hour(tmp_path):
    out = tmp_path/'out'
    leave_behind(out)
    with claimed(out): pass
    found = file_names(out)
    assert len(found)==len(OTHERS)+4
    for o in found: os.utime(out/o, (0, 0))
    os.utime(out/'tiles/.a.0123abcd.tmp', (0, 0))
    with claimed(out): pass
    assert file_names(out)=={*OTHERS}

def test_one_process_at_a_time(museum, tmp_path, colorizer):
    files_album(museum, 1)
    (tmp_path/'out').mkdir()
    other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])
    claims = Claims()
    claims.take(tmp_path/'out/manifest.json')
    run = lambda: colorize_manifest(f'{museum.url}/album.json', tmp_path/'out', colorizer,
                                    rate=100, progress=False)
    with pytest.raises(IIIFError, match='another process'): run()
    claims.release()
    other.kill()
    other.wait()
    assert run().done==1

def test_a_manifest_of_others_is_not_replaced(museum, tmp_path, colorizer):
    "Neither the one that is to be colored nor any other; our own is"
    out,u = tmp_path/'out',museum.url
    own = files_album(museum, 1)
    run = lambda source: colorize_manifest(source, out, colorizer, steps=1, rate=100,
                                           progress=False)
    out.mkdir()
    for theirs in (json.dumps(own), '{"mine": 1}', '[]', 'half', ''):
        (out/'manifest.json').write_text(theirs)
        for source in (f'{u}/album.json', out/'manifest.json'):
            with pytest.raises(IIIFError, match='manifest.json: (exists already|is the manifest)'):
                run(source)
        assert [o.name for o in out.iterdir()]==['manifest.json']
        assert (out/'manifest.json').read_text()==theirs
    (out/'manifest.json').unlink()
    assert run(f'{u}/album.json').done==1 and run(f'{u}/album.json').skipped==1
    before = (out/'manifest.json').read_bytes()
    with pytest.raises(IIIFError, match='write to another folder'): run(out/'manifest.json')
    assert (out/'manifest.json').read_bytes()==before

def test_an_album_does_not_take_the_place_of_another(museum, tmp_path, colorizer):
    "unless it is told to; the same one goes on"
    files_album(museum, 1)
    album = json.loads((museum.folder/'album.json').read_text())
    second = {**album, 'id': f'{museum.url}/second.json'}
    (museum.folder/'second.json').write_text(json.dumps(second))
    run = lambda name, **more: colorize_manifest(f'{museum.url}/{name}.json', tmp_path/'out',
        colorizer, steps=1, rate=100, progress=False, **more)
    assert run('album').done==1 and run('album').skipped==1
    before = (tmp_path/'out/manifest.json').read_bytes()
    with pytest.raises(IIIFError, match='was made from .*/album.json; write to another folder'):
        run('second')
    assert (tmp_path/'out/manifest.json').read_bytes()==before
    run('second', overwrite=True)
    assert b'/second.json' in (tmp_path/'out/manifest.json').read_bytes()

@pytest.mark.parametrize('make', [
    pipe, lambda o: o.mkdir(), lambda o: o.symlink_to('unmounted'), lambda o: o.symlink_to('mine')],
    ids=['pipe', 'folder', 'dead link', 'link'])
def test_what_is_no_file_in_the_place_of_the_manifest(tmp_path, make):
    "is neither waited for nor replaced"
    (tmp_path/'mine').write_text('{}')
    make(tmp_path/'manifest.json')
    with pytest.raises(FileExistsError, match='manifest.json is a link or no file: remove it'):
        protect_manifest(tmp_path/'manifest.json', tmp_path/'album.json')

def test_a_manifest_without_color_versions_is_ours_as_well(museum, tmp_path, colorizer):
    files_album(museum, 1)
    museum.faults = {'/photo0.jpg': lambda h: h.answer(404)}
    run = lambda: colorize_manifest(f'{museum.url}/album.json', tmp_path/'out', colorizer, steps=1,
                                    rate=100, retries=0, progress=False)
    assert run().failed==1 and run().failed==1
