"What others may have put into the folders of films"
import json
import pytest
from colorized.film.container import FilmError
from colorized.film.options import check_beside
from colorized.film.segments import Segments
from colorized.film.stretches import load_plan
from film_files import picture, write_film

def test_notes_and_plans_that_are_none(tmp_path):
    shots = dict(shots=[], durations=[], repeated='', scanning={}, corrupt=0)
    for text in '['*100_000, json.dumps(dict(key='k', pts=[10**30], **shots)):
        for name in '000000.json','plan.json': (tmp_path/name).write_text(text)
        assert Segments(tmp_path, None, {}).done(0, [0, 1]) is None
        assert load_plan(tmp_path/'plan.json', 'k') is None
    (tmp_path/'zero').symlink_to('/dev/zero')
    assert load_plan(tmp_path/'zero', 'k') is None

@pytest.mark.parametrize('name', ['a.csv', 'a.json'])
def test_a_device_beside_a_film_is_named(tmp_path, name):
    (tmp_path/name).symlink_to('/dev/zero')
    with pytest.raises(FileExistsError, match=f'{name} exists already and was not made by this'):
        check_beside(tmp_path/'a.mkv')

def test_segments_go_and_other_films_stay(tmp_path):
    for name in '000000.mkv','000000.json','1945.mkv','1945.json': (tmp_path/name).touch()
    Segments(tmp_path, None, {}).remove()
    assert sorted(o.name for o in tmp_path.iterdir())==['1945.json', '1945.mkv']

def test_segments_are_not_written_through_a_link(tmp_path, color):
    film,masters = tmp_path/'a.mkv',tmp_path/'masters'
    write_film(film, [picture(0)])
    masters.mkdir()
    (masters/'000000.mkv').write_bytes(b'master')
    (tmp_path/'.out.mkv.segments').symlink_to(masters)
    with pytest.raises(FilmError, match='segments: is a link and no folder: remove it'):
        color(film, tmp_path/'out.mkv')
    assert [o.read_bytes() for o in masters.iterdir()]==[b'master']
    assert not list(tmp_path.glob('.*.claim'))
