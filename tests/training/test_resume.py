"What has to be named again when a run is resumed, and what is refused"
import shutil
from functools import partial
import pytest, torch
from colorized.cli.main import main
from colorized.training.train import train
from training_helpers import BRIEF, crops, state_of

def test_a_resumed_run_watches_the_same_photographs(tmp_path):
    "Or the losses in its log would be of two sets; where they lie does not matter"
    data,watch,out = crops(tmp_path/'photos', 4, 64),crops(tmp_path/'watch', 2, 64),tmp_path/'run'
    moved,other = [shutil.copytree(watch, tmp_path/o) for o in ('moved','other')]
    (other/'001.png').rename(other/'002.png')
    run = partial(train, data, out, bs=4, **BRIEF)
    run(photos=4, valid=watch)
    before = {o.name: o.read_bytes() for o in out.iterdir() if o.suffix!='.json'}
    go_on = partial(run, photos=8, resume=True)
    with pytest.raises(ValueError, match='photographs 4, got 3: .*keeps its own .*--valid'):
        go_on(valid=None)
    with pytest.raises(ValueError, match='watches 2 photographs, .*, got 2 .*--valid'):
        go_on(valid=other)
    assert {o.name: o.read_bytes() for o in out.iterdir() if o.suffix!='.json'}==before
    assert go_on(valid=moved).this_run.photos==8
    state = state_of(out)
    del state['watched'] # as earlier versions wrote it
    torch.save(state, out/'state.pt')
    run(photos=8, resume=True, valid=other)

def test_the_command_says_what_to_name_again(capsys):
    assert main(['train', '--help'])==0
    said = ' '.join(capsys.readouterr().out.split()).split('--resume')[-1].split('--set')[0]
    assert all(o in said for o in ('--data', '--valid', '--start', '--weak', '--fid', 'a budget'))
