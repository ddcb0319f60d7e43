"Which output belongs to which photograph"
import csv, json, os, shutil
from pathlib import Path
import pytest
from batch_tools import files, photographs, posix, quick
from colorized.batch.folder import colorize_folder
from colorized.batch.names import (
    assign_outputs, existing_colorings, given_outputs, mirror_tree, output_name)
from colorized.batch.ledger import read_report

def test_originals_are_safe(tmp_path, colorizer):
    src = photographs(tmp_path/'in', 2)
    before = files(src)
    for dst in (src, tmp_path, src/'..'/'in'):
        with pytest.raises(ValueError, match='originals') as e:
            quick(src, dst, colorizer, overwrite=True)
        assert str(e.value)==(f'the folder of outputs, {dst}, must neither be that of the '
                              f'originals, {src}, nor contain it')
    assert quick(src, src/'out', colorizer).done==2
    assert quick(src, src/'out', colorizer).skipped==2 # outputs are not taken for photographs
    assert before.items()<=files(src).items()
    (tmp_path/'link').mkdir()
    (tmp_path/'link/00.jpg').symlink_to(src/'00.jpg') # an output that is an original
    assert quick(src, tmp_path/'link', colorizer, overwrite=True).failed==1
    assert 'original' in read_report(tmp_path/'link')['00.jpg']['error']
    assert files(src)['00.jpg']==before['00.jpg']

@posix
def test_no_photograph_is_replaced_through_a_link_to_its_folder(tmp_path, colorizer, capsys):
    "whatever the settings; the others are colored"
    src,out = photographs(tmp_path/'in'/'x', 1).parent,tmp_path/'out'
    photographs(src/'y', 2)
    out.mkdir()
    (out/'x').symlink_to(src/'y')
    before = files(src)
    why = f"{out/'x/00.jpg'}: is the photograph {src/'y/00.jpg'}: an original is never replaced"
    got = quick(src, out, colorizer, dry_run=True, overwrite=True)
    assert (got.failed, got.left)==(1, 2) and f'would fail: {why}' in capsys.readouterr().out
    got = quick(src, out, colorizer, overwrite=True, steps=1)
    assert (got.done, got.failed)==(2, 1) and files(src)==before
    assert read_report(out)['x/00.jpg']['error']==why

def test_of_the_folders_beside_the_outputs_none_is_left_out(tmp_path):
    for o in ('a', 'm', 'z', 'z/m'):
        (tmp_path/o).mkdir()
        (tmp_path/o/'1.jpg').touch()
    assert sorted(mirror_tree(tmp_path, tmp_path/'m').outputs)==['a/1.jpg', 'z/1.jpg', 'z/m/1.jpg']

def test_names_that_collide(tmp_path):
    for o in ('a.tif', 'a.jpg', 'a.bmp', 'a.tif.png', 'b.TIF'): (tmp_path/o).touch()
    assert mirror_tree(tmp_path, tmp_path/'o', 'png').outputs=={
        'a.bmp':'a.bmp.png', 'a.jpg':'a.jpg.png', 'a.tif':'a.tif.png.png', 'a.tif.png':'a.tif.png',
        'b.TIF':'b.png'}

def test_upper_and_lower_case_are_one():
    photos = {o: o for o in ('A.tif', 'a.bmp', 'a.png')}
    outputs = {'A.tif':'A.tif.png', 'a.bmp':'a.bmp.png', 'a.png':'a.png'}
    assert assign_outputs(photos, 'png')==outputs

def test_photographs_whose_names_differ_in_case():
    "The first keeps its name, also beside one that is called like the other's output"
    same = lambda *names: {o: o for o in names}
    outputs = {'A.jpg':'A.jpg', 'a.jpg':'a.jpg.jpg', 'b/A.jpg':'b/A.jpg'}
    assert assign_outputs(same('a.jpg', 'A.jpg', 'b/A.jpg'))==outputs
    outputs = {'A.jpg':'A.jpg', 'a.jpg':'a.jpg.jpg.jpg', 'a.jpg.jpg':'a.jpg.jpg'}
    assert assign_outputs(same('a.jpg', 'a.jpg.jpg', 'A.jpg'))==outputs

def test_maps_have_names_of_their_own(tmp_path, colorizer):
    "A photograph that is called like the map of another takes a longer name"
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    (src/'01.jpg').rename(src/'a.png.uncertainty.png')
    (src/'00.jpg').rename(src/'a.bmp')
    for _ in range(2):
        assert quick(src, out, colorizer, uncertainty=True).failed==0
    maps = 'a.png', 'a.png.uncertainty.png.png'
    assert set(files(out))=={*maps, *[f'{o}.uncertainty.png' for o in maps]}

@pytest.mark.parametrize('format,first,second', [
    (None, 'x.bmp', 'x.png'), ('jpeg', 'x.png', 'x.tif'), (None, 'b.bmp', 'B.png')])
def test_a_folder_grows(tmp_path, colorizer, format, first, second):
    "An output stays where it is, also when its photograph failed meanwhile"
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    (src/'01.jpg').rename(tmp_path/second)
    (src/'00.jpg').rename(src/first)
    assert quick(src, out, colorizer, format=format).done==1
    made = files(out)
    assert quick(src, out, colorizer, format=format, seed=1).failed==1
    shutil.move(tmp_path/second, src/second)
    got = quick(src, out, colorizer, format=format)
    assert (got.done, got.skipped, got.failed)==(1, 1, 0)
    suffix = '.jpg' if format else '.png'
    assert set(files(out))=={*made, second+suffix} and made.items()<=files(out).items()
    rows = read_report(out)
    assert {k: o['output'] for k,o in rows.items()}=={first: [*made][0], second: second+suffix}
    assert quick(src, out, colorizer, format=format).skipped==2

def test_a_report_is_not_trusted_with_names():
    rows = [dict(path='a/x.bmp', output='../x.png'), dict(path='a/y.bmp', output='a/z.png'),
            dict(path='b.bmp', output=7), dict(path='c.bmp'), dict(path='d.bmp', output='d.png'),
            dict(path='d.tif', output='d.png', error='broken'),
            dict(path='e.bmp', output='e.png', finished='2026-01-01T00:00:00Z'),
            dict(path='e.gif', output='e.png', finished='2026-01-02T00:00:00Z'),
            dict(path='f.gif', output='f:x.png'), dict(path='g.gif', output='g\\..\\x.png'),
            dict(path='h.gif', output='h\0.png'), dict(path='i.gif', output='i\ud800.png'),
            dict(path='j.gif', output='j/../x.png'), dict(path='k.gif', output='k'),
            dict(path='\udcfc\\:.gif', output='\udcfc\\:.gif.png')] # names that can be on a disk
    given = given_outputs({o['path']: o for o in rows})
    assert given=={'d.bmp': 'd.png', 'e.gif': 'e.png', '\udcfc\\:.gif': '\udcfc\\:.gif.png'}

def test_a_report_with_impossible_names_stops_nobody(tmp_path, colorizer):
    src,out = photographs(tmp_path/'in', 2),tmp_path/'out'
    out.mkdir()
    rows = [dict(path='00.jpg', output='00\0.jpg'), dict(path='01.jpg', output='01\ud800.jpg')]
    (out/'report.jsonl').write_text(''.join(json.dumps(o)+'\n' for o in rows))
    assert quick(src, out, colorizer).done==2 and set(files(out))=={'00.jpg', '01.jpg'}

def test_a_folder_with_names_that_are_no_text_is_colored_once(tmp_path, colorizer):
    src = photographs(tmp_path/'in', 1)
    (src/'00.jpg').rename(src/'\udcff\\ a:b.jpg')
    assert quick(src, tmp_path/'out', colorizer).done==1
    assert quick(src, tmp_path/'out', colorizer).skipped==1

def test_what_was_given_stays():
    "also when another photograph has that name, and whatever the key"
    photos = dict(one='a.jpg', two='b.jpg', three='c.jpg')
    given = dict(two='A.jpg', gone='x.jpg')
    assert assign_outputs(photos, None, given)==dict(one='a.jpg.jpg', two='A.jpg', three='c.jpg')
    assert assign_outputs(photos, 'png', given)==dict(one='a.png', two='b.png', three='c.png')

def test_formats_that_cannot_be_written_become_png():
    for o in ('a.bmp', 'a.GIF', 'a.heic', 'a.jp2'): assert output_name(o)=='a.png'
    assert output_name('box.1/a.JPE')=='box.1/a.JPE' and output_name('a.jpe', 'tiff')=='a.tif'

def test_colorings_need_their_photograph():
    names = ['a.tif', 'a.colorized.jpg', 'box/a.colorized.jpg', 'a.colorized-2.png', 'a.colorizedx']
    assert existing_colorings(names)=={'a.colorized.jpg', 'a.colorized-2.png'}

def test_what_is_passed_over_is_said(tmp_path, colorizer, capsys):
    src = photographs(tmp_path/'in', 1)
    for o in ('a.dng', 'b.DNG', 'notes', 'c.jpg.', '.hidden', '00.colorized.tif'): (src/o).touch()
    shutil.copy(next(src.glob('*.jpg')), src/'scan.jfif')
    shutil.copy(src/'scan.jfif', src/'scan.JPE')
    (src/'linked').symlink_to(tmp_path)
    ignored = mirror_tree(src, tmp_path/'out').ignored
    kinds = {'.dng': 2, 'without a suffix': 1, 'linked folders': 1, 'colorings of others': 1,
             'with a dot at the end': 1}
    assert ignored==kinds
    assert colorize_folder(src, tmp_path/'out', colorizer, steps=1, workers=0).done==3
    assert {'scan.jfif','scan.JPE'}<set(files(tmp_path/'out'))
    said = ('2 .dng, 1 colorings of others, 1 linked folders, 1 with a dot at the end, '
            '1 without a suffix')
    assert said in capsys.readouterr().err

@posix
def test_a_pipe_among_photographs_is_passed_over(tmp_path):
    "Whoever reads it would wait for somebody to write; a link that leads nowhere is tried"
    os.mkfifo(tmp_path/'p.jpg')
    (tmp_path/'linked.jpg').symlink_to('p.jpg')
    (tmp_path/'gone.jpg').symlink_to('nowhere')
    (tmp_path/'a.jpg').touch()
    tree = mirror_tree(tmp_path, tmp_path/'out')
    assert [*tree.outputs]==['a.jpg', 'gone.jpg'] and tree.ignored=={'pipes or devices': 2}

def test_folder_that_cannot_be_listed(tmp_path, colorizer, monkeypatch, capsys):
    "is one failure; the others are colored"
    src = photographs(tmp_path/'in', 2)
    photographs(src/'locked', 1)
    real = os.scandir
    def scandir(path):
        if Path(path).name=='locked': raise PermissionError(13, 'Permission denied', str(path))
        return real(path)
    monkeypatch.setattr(os, 'scandir', scandir)
    got = quick(src, tmp_path/'out', colorizer, progress=True)
    assert (got.done, got.failed, got.left, got.exit_code)==(2, 1, 0, 1)
    error = read_report(tmp_path/'out')['locked']['error']
    assert error==f"{src/'locked'}: cannot be listed (Permission denied)"
    assert error in capsys.readouterr().err
    csv_path = tmp_path/'out/report.csv'
    table = lambda: [o['path'] for o in csv.DictReader(open(csv_path, encoding='utf-8-sig'))]
    assert 'locked' in table()
    monkeypatch.setattr(os, 'scandir', real)
    assert quick(src, tmp_path/'out', colorizer).exit_code==0 and 'locked' not in table()

@pytest.mark.parametrize('format', [None, 'png', 'jpeg', 'tiff'])
@pytest.mark.parametrize('photos', [
    ['a.jpg', 'a.JPG'], ['a.bmp', 'a.BMP', 'A.bmp'], ['Box/a.tif', 'box/a.tif'],
    ['a.tif', 'A.jpg', 'a.tif.png', 'a.TIF.png.png']])
def test_names_that_differ_in_case_alone_get_outputs_that_differ_in_more(photos, format):
    "Where the suffix changes, two of them grew by the same for ever"
    out = assign_outputs({o: o for o in photos}, format)
    assert len({o.lower() for o in out.values()})==len(photos)
