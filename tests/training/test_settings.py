"Settings by name: where each goes, and what a run makes of them"
import pytest
from colorized.model.checkpoint import ModelConfig, load_checkpoint
from colorized.training.examples import Recipe
from colorized.training.learner import diffusion_learner
from colorized.training.settings import configure, known_settings
from colorized.training.train import train
from training_helpers import crops, go

def test_every_setting_can_be_set():
    "To its default, as text: nothing changes, and nothing is refused"
    known = known_settings()
    for place,values in known.items():
        for k,v in values.items():
            text = ','.join(map(str, v)) if isinstance(v, tuple) else str(v)
            config,recipe,kwargs = configure({k: text})
            assert (config, recipe)==(ModelConfig(), Recipe()), k
            assert kwargs==({k: v} if place=='learner' else {}), k
    names = [k for o in known.values() for k in o]
    assert [k for k in set(names) if names.count(k)>1]==['factor'] # of network and examples alike

def test_settings_change_what_is_given():
    config,recipe = ModelConfig(chroma_scale=15.),Recipe(size=128, small=64)
    changed,smaller,kwargs = configure(dict(param='v', small='32', bf16='no'), config, recipe)
    assert (changed.param, changed.chroma_scale)==('v', 15.)
    assert smaller==Recipe(size=128, small=32) and kwargs==dict(bf16=False)

@pytest.mark.parametrize('name,value,said', [
    ('lr', '0', 'lr must be above 0'), ('wd', '-1', 'wd must not be negative'),
    ('clip', '0', 'clip must be above 0'), ('decay', '1', r'decay must lie in \[0,1\)'),
    ('decay', '-0.1', 'decay must lie'), ('tune', '2', 'tune must lie in'),
    ('chroma_scale', '0', 'chroma_scale must be a positive number'),
    ('last_step', '5', 'last_step=5'),
    ('last_step', '0', 'last_step=0')])
def test_values_out_of_range_are_refused(tmp_path, name, value, said):
    "Before a photograph is opened"
    with pytest.raises(ValueError, match=said): configure({name: value})
    with pytest.raises(ValueError, match=said):
        train(tmp_path/'none', tmp_path/'run', photos=1, settings={name: value})

def test_a_network_can_be_used_as_it_was_configured():
    "No more steps than the chain has, and a size that its grid allows"
    steps = lambda *args: configure(*args)[0].sampling.steps
    assert [steps(dict(n_steps=n)) for n in ('1', '4', '6', '1000')]==[1, 4, 6, 6]
    assert steps({}, ModelConfig(schedule=dict(kind='cosine', n_steps=3)))==3
    five = dict(factor='5', size='320', small='160')
    with pytest.raises(ValueError, match='working_size=384: this network needs a multiple of 160'):
        configure(five)
    assert configure(dict(five, working_size='320'))[0].sampling.working_size==320

def test_a_refusal_says_what_is_expected():
    for given,said in (('small=-1', "expected 0 or a positive integer, got '-1'"),
                       ('blocks=two', "expected a positive integer, got 'two'")):
        with pytest.raises(ValueError, match=said): configure(dict([given.split('=')]))

def test_odd_widths_are_refused():
    odd = dict(widths='33', attention='0', groups='3', heads='3')
    with pytest.raises(ValueError, match='the first width must be even'): configure(odd)
    configure(dict(odd, widths='36'))

def test_options_of_a_learner_have_the_same_ranges():
    for wrong in (dict(lr=-1.), dict(clip=0.), dict(decay=1.), dict(wd=-1.), dict(lr=float('nan'))):
        with pytest.raises(ValueError, match=f'{list(wrong)[0]} must'):
            diffusion_learner(None, **wrong)

def test_settings_reach_the_run(tmp_path):
    """What `--set` names changes network, schedule, examples and optimizer

    It is kept by a resumed run, and stands in the checkpoint."""
    data = crops(tmp_path/'photos', 16)
    settings = dict(param='v', shift='1', weight='min_snr', widths='32,64', attention='0,1',
                    blocks='2', factor='8', patch='1', archival='0', no_hints='0.2', size='64',
                    bf16='0')
    def run(out='run', **kwargs):
        return go(data, tmp_path/out, config=None, recipe=None, bs=8, **kwargs)
    learn = run(photos=16, settings=settings)
    net,config,_ = load_checkpoint(tmp_path/'run/model.safetensors')
    assert (config.param, config.schedule['shift'])==('v', 1.)
    assert (net.cfg.widths, net.cfg.blocks, net.cfg.factor, net.cfg.patch)==((32,64), 2, 8, 1)
    assert config.training['settings']==settings and config.chroma_scale!=20.
    assert learn.diffusion.weight=='min_snr' and not hasattr(learn, 'bf16')
    assert learn.dls.train_ds.recipe==Recipe(size=64, factor=8, archival=0., no_hints=0.2)
    more = run(photos=32, resume=True)
    assert more.diffusion.config==learn.diffusion.config
    assert more.diffusion.weight=='min_snr' and more.this_run.photos==32
    with pytest.raises(ValueError, match='keeps its network'):
        run(photos=40, resume=True, settings=dict(blocks='1'))
    with pytest.raises(ValueError, match='unknown setting color'):
        run('other', photos=8, settings=dict(color='red'))
    assert not (tmp_path/'other').exists()
