"What leaves the desk and what comes back: bytes, tables, the page for the record"
import csv, errno, io, re
import pytest
from desk_tools import NAMES, color
from colorized.desk.decisions import Change, State
from colorized.desk.delivery import check_target, deliver, free_name
from colorized.desk.server import open_review
from colorized.desk.tables import TableError, read_table, write_table

@pytest.fixture
def review(home, model):
    o = open_review(home/'color', home/'scans', reviewer='Anna', model=str(model), device='cpu')
    yield o
    o.close()

def of(album, path): return next(o for o in album.entries.values() if o.photo.path==path)

def decide(review, path, reviewer='Anna', **what):
    entry = of(review.album, path)
    now = review.album.states().get(entry.key, State())
    if 'decision' in what: what['output_sha256'] = entry.sha256
    return review.album.decisions.decide([Change(entry.photo, now.version, what)], reviewer)

def files(folder):
    return {o.relative_to(folder).as_posix(): o.read_bytes() for o in folder.rglob('*')
            if o.is_file() and o.name not in ('decisions.csv', 'summary.html')}

# ---- delivery ----
def test_what_is_accepted_has_the_bytes_of_the_run(review, home):
    for o in NAMES[:3]: decide(review, o, decision='accepted')
    decide(review, NAMES[3], decision='rejected')
    decide(review, NAMES[4], decision='flagged')
    made = deliver(review.album, home/'out', review.colorings)
    assert files(home/'out')=={o: (home/'color'/o).read_bytes() for o in NAMES[:3]}
    assert (len(made.copied), made.made, made.failed)==(3, [], [])
    assert {o.name for o in (home/'out').iterdir()}=={'1910', 'farm.jpg', 'decisions.csv',
                                                      'summary.html'}

@pytest.mark.parametrize('name', ['farm.jpg', '1910/boat.png', 'harbor.tif'])
def test_another_coloring_has_the_bytes_that_a_run_with_it_makes(review, home, colorizer, name):
    decide(review, name, decision='accepted', seed=7, strength=0.8)
    made = deliver(review.album, home/'out', review.colorings)
    color(home/'scans', home/'other', colorizer, seed=7, saturation=0.8)
    assert made.made==[name] and files(home/'out')=={name: (home/'other'/name).read_bytes()}
    assert files(home/'out')[name]!=(home/'color'/name).read_bytes()

@pytest.mark.parametrize('more', [
    dict(format='tiff', bits=16), dict(format='jpeg', quality=60), dict(temperature=0.2),
    dict(saturation=1.4, working_size=288), dict(source_type='composite'), dict(seed=2**40)])
def test_every_option_of_the_run_is_restored(home, model, colorizer, more):
    color(home/'scans', home/'mine', colorizer, **more)
    color(home/'scans', home/'other', colorizer, **{**more, 'seed':3})
    review = open_review(home/'mine', model=str(model), device='cpu')
    entry = of(review.album, 'farm.jpg')
    dst = home/'one'/entry.name
    dst.parent.mkdir()
    review.colorings.write(entry, 3, None, dst)
    assert dst.read_bytes()==(home/'other'/entry.name).read_bytes()
    assert review.colorings.seeds(entry)[0]==more.get('seed', 0)
    review.close()

def test_the_settings_of_an_experiment_are_restored(home, model, colorizer):
    from copy import copy
    other = copy(colorizer)
    other.settings = other.settings.changed(average=False, red_shrinkage=0.)
    color(home/'scans', home/'mine', other)
    color(home/'scans', home/'want', other, seed=3)
    review = open_review(home/'mine', model=str(model), device='cpu')
    review.colorings.write(of(review.album, 'farm.jpg'), 3, None, home/'farm.jpg')
    assert (home/'farm.jpg').read_bytes()==(home/'want/farm.jpg').read_bytes()
    review.close()

def test_other_weights_and_lost_originals_make_nothing(home):
    (home/'nothing').mkdir()
    review = open_review(home/'color', home/'nothing', device='cpu')
    decide(review, 'farm.jpg', decision='accepted', seed=7)
    decide(review, 'mill.jpg', decision='accepted')
    out = deliver(review.album, home/'out', review.colorings)
    (path,why), = out.failed
    assert path=='farm.jpg' and '--originals' in why and out.copied==['mill.jpg']
    review.album.originals = home/'scans'
    (path,why), = deliver(review.album, home/'out2', review.colorings).failed
    assert path=='farm.jpg' and 'other weights' in why and '--model' in why
    review.close()

def test_what_changed_since_is_not_delivered(review, home, colorizer):
    for o in NAMES[:4]: decide(review, o, decision='accepted')
    (home/'color'/NAMES[0]).write_bytes(b'another')
    (home/'color'/NAMES[1]).unlink()
    decide(review, NAMES[2], decision='accepted', output_sha256=None)
    review.album.decisions.decide([Change(
        of(review.album, NAMES[2]).photo, 2, dict(output_sha256='0'*64))], 'Anna')
    made = deliver(review.album, home/'out', review.colorings)
    assert made.copied==[NAMES[3]] and [o[0] for o in made.failed]==sorted(NAMES[:3])
    why = dict(made.failed)
    assert 'not the file that the run' in why[NAMES[0]] and 'any more' in why[NAMES[1]]
    assert 'colored anew' in why[NAMES[2]]

def test_a_note_does_not_renew_an_acceptance(review, home):
    "Neither on the page nor by a table"
    farm = of(review.album, 'farm.jpg')
    review.album.decisions.decide([Change(farm.photo, 0, dict(
        decision='accepted', output_sha256='0'*64))], 'Anna')
    asked = dict(key=farm.key, saw=farm.sha256[:16], version=1, note='nice')
    assert review.decide('Max', [asked])[farm.key]['stale']
    table = write_table(review.album).replace(b'nice', b'very nice')
    assert review.read_back('Max', table)[farm.key]['stale']
    renewed = review.decide('Max', [dict(asked, version=3, decision='accepted')])
    assert not renewed[farm.key]['stale']

def test_a_delivery_is_there_as_a_whole_or_not_at_all(review, home, monkeypatch):
    for o in NAMES: decide(review, o, decision='accepted')
    read,n = review.album.read,[]
    def full(entry):
        n.append(entry)
        if len(n)>3: raise OSError(errno.ENOSPC, 'No space left on device')
        return read(entry)
    monkeypatch.setattr(review.album, 'read', full)
    with pytest.raises(OSError, match='No space'):
        deliver(review.album, home/'out', review.colorings)
    assert {o.name for o in home.iterdir()}=={'scans', 'color'}

def test_where_a_delivery_may_go(review, home):
    decide(review, 'farm.jpg', decision='accepted')
    (home/'full').mkdir()
    (home/'full/letter.txt').write_text('Dear Anna,')
    (home/'link').symlink_to(home/'color')
    for o in home/'full', home/'full/letter.txt':
        with pytest.raises(FileExistsError): check_target(review.album, o)
    for o in 'color', 'color/x', '.', 'link', 'link/x', 'scans/../color/y':
        with pytest.raises((ValueError, FileExistsError)):
            deliver(review.album, home/o, review.colorings)
    (home/'empty').mkdir()
    assert deliver(review.album, home/'empty', review.colorings).copied
    assert free_name(home/'empty')==home/'empty-2' and free_name(home/'new')==home/'new'

def test_nothing_accepted(review, home):
    with pytest.raises(ValueError, match='nothing is accepted'):
        deliver(review.album, home/'out', review.colorings)
    assert not (home/'out').exists()

# ---- tables ----
def rows(review):
    text = write_table(review.album).decode('utf-8-sig')
    return list(csv.DictReader(io.StringIO(text, newline='')))

def table(lines):
    out = io.StringIO(newline='')
    w = csv.DictWriter(out, lines[0])
    w.writeheader()
    w.writerows(lines)
    return out.getvalue().encode()

def test_a_table_comes_back_unchanged(review):
    odd = '=1+1', "'quoted'", '-5', 'a\nb, "c"; d', "'=x", '@x', '\ttab'
    for path,note in zip(NAMES, odd): decide(review, path, note=note, seed=5, strength=1.25)
    assert all(not o['note'].startswith(('=', '-', '@', '\t')) for o in rows(review))
    assert read_table(write_table(review.album), review.album)==[]
    back = {o['path']: o for o in rows(review)}
    for o in back.values(): o['note'] += '!'
    wanted = {o.photo.path: o.what for o in read_table(table(list(back.values())), review.album)}
    assert wanted=={p: dict(note=f'{n.strip()}!') for p,n in zip(NAMES, odd)}

def test_a_spreadsheet_of_another_country(review):
    lines = rows(review)
    lines[0].update(decision=' Accepted ', strength='0,9', seed='12')
    text = table(lines).decode()
    for data in (re.sub(',(?=(?:[^"]*"[^"]*")*[^"]*$)', ';', text).replace('"0,9"', '0,9').encode(),
                 text.replace(',', '\t').replace('"0\t9"', '0,9').encode('utf-16')):
        change, = read_table(data, review.album)
        entry = of(review.album, change.photo.path)
        assert change.what==dict(decision='accepted', strength=0.9, seed=12,
                                 output_sha256=entry.sha256)

def test_reading_back_is_one_action(review):
    lines = rows(review)
    for o in lines: o.update(decision='rejected', note='too blue')
    assert len(review.read_back('Max', table(lines)))==6
    assert {o.decision for o in review.album.states().values()}=={'rejected'}
    review.undo('Max')
    assert {o.decision for o in review.album.states().values()}=={'undecided'}

def test_bad_lines_name_themselves_and_nothing_changes(review):
    decide(review, NAMES[1], 'Max', decision='flagged')
    lines = rows(review)
    by_path = {o['path']: i for i,o in enumerate(lines)}
    def bad(path, **cells):
        lines[by_path[path]].update(cells)
        return by_path[path]+2
    said = {bad(NAMES[0], decision='acepted'): '“acepted” is no decision',
            bad(NAMES[1], decision='accepted', version='0'): 'Max has decided',
            bad(NAMES[2], strength='strong'): 'strength is no number',
            bad(NAMES[3], seed='-1'): 'A seed is a whole number',
            bad(NAMES[4], source_sha256='0'*64): 'another photograph now'}
    lines += [dict(lines[by_path[NAMES[5]]], decision='accepted'),
              dict(lines[by_path[NAMES[5]]], decision='rejected'),
              dict(lines[0], path='no.jpg', decision='accepted')]
    said |= {9: 'second line', 10: 'there is no photograph “no.jpg”'}
    event = max(o.event for o in review.album.states().values())
    with pytest.raises(TableError) as e: review.read_back('Anna', table(lines))
    told = str(e.value).splitlines()
    assert len(told)==len(said)
    for n,words in said.items():
        assert any(o.startswith(f'Line {n}: ') and words in o for o in told), (n, words, told)
    assert max(o.event for o in review.album.states().values())==event

def test_the_line_of_a_note_with_line_breaks(review):
    lines = rows(review)
    lines[0]['note'] = 'one\ntwo\nthree'
    lines[1]['decision'] = 'no'
    with pytest.raises(TableError, match='^Line 5: '): read_table(table(lines), review.album)

@pytest.mark.parametrize('data,words', [
    (b'', 'Line 1 must'), (b'a,b\n1,2\n', 'Line 1 must'),
    (b'path,decision\n\xff\xfe,x\n', 'Line 2'), (b'path,decision\nfarm.jpg\n', 'Line 2'),
    (b'path,decision\nfarm.jpg,accepted,x\n', 'Line 2'), (b'\xff\xd8\xff', 'UTF-8'),
    (b'\0'*50, 'Line 1')])
def test_what_is_no_table(review, data, words):
    with pytest.raises(TableError, match=words): read_table(data, review.album)

def test_twenty_bad_lines_are_named_and_the_others_counted(review):
    lines = [dict(path=f'{i}.jpg', decision='accepted') for i in range(50)]
    with pytest.raises(TableError) as e: read_table(table(lines), review.album)
    told = str(e.value).splitlines()
    assert len(told)==21 and told[-1]=='and 30 more lines.'

# ---- the page for the record ----
def test_the_summary_counts_and_names(review, home, colorizer):
    decide(review, NAMES[0], decision='accepted', seed=4)
    decide(review, NAMES[1], 'Max', decision='accepted')
    decide(review, NAMES[2], 'Max', decision='rejected')
    decide(review, NAMES[3], '<img src=x onerror=alert(1)>', decision='flagged')
    deliver(review.album, home/'out', review.colorings)
    page = (home/'out/summary.html').read_text('utf-8')
    cells = [re.sub('<[^>]+>', '', o) for o in re.findall('<td.*?</td>', page)]
    pairs = list(zip(cells, cells[1:]))
    for o in ('accepted', '2'), ('rejected', '1'), ('flagged', '1'), ('undecided', '2'):
        assert o in pairs, (o, cells)
    assert ['Max', '1', '1', '0']==cells[cells.index('Max'):][:4]
    assert colorizer.sha256 in cells and colorizer.name in cells
    assert [NAMES[0], '4', 'as the run']==cells[cells.index(NAMES[0]):][:3]
    assert '2 files: 1 as the run has made them, 1 made anew' in page
    assert '<img' not in page and '<script' not in page and 'http' not in page

# ---- the command ----
def run(*args):
    from colorized.cli.main import main
    return main(['desk', *map(str, args)])

def test_the_command_without_the_page(home, model, capsys):
    color_,out = home/'color',home/'out'
    assert run(color_, '--to-csv', home/'a.csv')==0
    text = (home/'a.csv').read_text('utf-8-sig')
    (home/'b.csv').write_text(text.replace('undecided', 'accepted', 2))
    assert run(color_, '--from-csv', home/'b.csv', '--deliver', out, '--reviewer', 'Anna')==0
    assert sorted(files(out))==sorted(NAMES[:2])
    said = capsys.readouterr().out
    assert '2 photographs changed' in said and '2 delivered, 0 of them made anew' in said
    assert run(color_, '--deliver', out)==1 and 'new folder' in capsys.readouterr().err
    (home/'b.csv').write_text('path,decision\nno.jpg,accepted\n')
    assert run(color_, '--from-csv', home/'b.csv')==1
    assert 'Line 2' in capsys.readouterr().err
    (color_/NAMES[0]).unlink()
    assert run(color_, '--deliver', home/'out2')==1
    assert NAMES[0] in capsys.readouterr().err
    assert run(home/'scans')==1 and 'report.jsonl' in capsys.readouterr().err

def test_looking_only_by_the_command(home, capsys):
    (home/'b.csv').write_text('path,decision\nfarm.jpg,accepted\n')
    assert run(home/'color', '--look', '--from-csv', home/'b.csv')==1
    assert 'looking only' in capsys.readouterr().err
    assert not (home/'color/decisions.sqlite').exists()
