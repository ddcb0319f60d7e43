"The schema of results: what a row holds, what is refused, what a file keeps"
import csv, subprocess
import pytest
from benchmarks.support.results import COLUMNS, Figure, Results, current_commit

def test_rows_of_one_schema(tmp_path):
    "with the names once, however often a file is opened"
    path = tmp_path/'out.csv'
    Results(path, '1234567').add(Figure('speed: one', 'card, 1 MP', 5, 'seconds', 0.123456))
    Results(path, '89abcde').add(Figure('noise: 1', 'val', 250, 'kid_x1000_change', -0.61, -0.8,
                                        -0.43, '873ad217'))
    first,*rows = csv.reader(path.open())
    assert first==COLUMNS=='experiment,set,n,metric,value,low,high,weights,commit'.split(',')
    assert rows==[['speed: one', 'card, 1 MP', '5', 'seconds', '0.1235', '', '', '', '1234567'],
                  ['noise: 1', 'val', '250', 'kid_x1000_change', '-0.61', '-0.8', '-0.43',
                   '873ad217', '89abcde']]
    assert Results(path).done=={('speed: one', 'card, 1 MP', ''), ('noise: 1', 'val', '873ad217')}

@pytest.mark.parametrize('value,text', [(0, '0'), (3497, '3497'), (12345.6, '12346'),
                                        (123.45, '123.5'), (999.96, '1000'), (1e-5, '1e-05'),
                                        (0.5, '0.5')])
def test_numbers_are_short_and_whole_above_a_thousand(tmp_path, value, text):
    Results(tmp_path/'out.csv', '').add(Figure('a: b', 's', 1, 'm', value))
    assert list(csv.DictReader((tmp_path/'out.csv').open()))[0]['value']==text

def test_half_an_interval_is_refused():
    for ends in (1., None), (None, 1.), (2., 1.):
        with pytest.raises(ValueError, match='no interval'): Figure('a: b', 's', 1, 'm', 1, *ends)
    with pytest.raises(ValueError, match='NAME: SETTING'): Figure('speed', 's', 1, 'm', 1)

def test_another_table_is_left_alone(tmp_path):
    path = tmp_path/'other.csv'
    path.write_text('model,kid\na,1\n')
    with pytest.raises(ValueError, match='other.csv has other columns'): Results(path)
    assert path.read_text()=='model,kid\na,1\n'

def test_a_changed_tree_is_marked(tmp_path):
    assert current_commit(tmp_path)==''
    def git(*args): subprocess.run(['git', '-C', tmp_path, *args], check=True, capture_output=True)
    who = '-c','user.name=a','-c','user.email=a@b'
    git('init', '-q')
    (tmp_path/'a').write_text('1')
    git('add', 'a')
    git(*who, '-c', 'core.hooksPath=/dev/null', 'commit', '-qm', 'a')
    clean = current_commit(tmp_path)
    assert len(clean)==7
    (tmp_path/'a').write_text('2')
    assert current_commit(tmp_path)==clean+'+'
