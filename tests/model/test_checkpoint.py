"Checkpoints: whole or refused, and what older ones held"
import json, math
from dataclasses import asdict, replace
import numpy as np, pytest, torch
from safetensors import safe_open
from safetensors.torch import save_file
from colorized.files import sha256_of
from colorized.inference.colorizer import WEIGHTS
from colorized.model.checkpoint import (
    FORMAT, ModelConfig, SamplingSettings, load_checkpoint, parse_settings, save_checkpoint)
from colorized.model.unet import ColorNet, UNetConfig

torch.set_num_threads(1)
TINY = UNetConfig(widths=(32,), attention=(False,), encoder=None)
CONFIG = ModelConfig(TINY, param='v', chroma_scale=17., training=dict(photographs=3),
                     sampling=SamplingSettings(steps=4, gain=1.3, average=False))

@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    return ColorNet(TINY)

def rewritten(path, **changes):
    "The checkpoint at `path` with another header"
    with safe_open(path, 'pt') as f:
        header = json.loads(f.metadata()['colorized'])
        state = {k: f.get_tensor(k) for k in f.keys()}
    header = {k: v for k,v in {**header, **changes}.items() if v is not None}
    save_file(state, path, {'colorized': json.dumps(header)})

def test_everything_comes_back(net, tmp_path):
    path = tmp_path/'a.safetensors'
    sha = save_checkpoint(path, net, CONFIG)
    again,config,sha2 = load_checkpoint(path)
    assert config==CONFIG and sha==sha2==sha256_of(path)
    assert not again.training
    for (k,a),b in zip(again.state_dict().items(), net.state_dict().values()):
        assert a.dtype==torch.float32 and torch.equal(a, b.half().float()), k
    exact = save_checkpoint(path, net, CONFIG, torch.float32)
    assert exact!=sha
    for a,b in zip(load_checkpoint(path)[0].parameters(), net.parameters()):
        assert torch.equal(a, b)
    assert [o.name for o in tmp_path.iterdir()]==['a.safetensors']

def test_the_settings_stand_in_the_file(net, tmp_path):
    save_checkpoint(tmp_path/'a.safetensors', net, CONFIG)
    with safe_open(tmp_path/'a.safetensors', 'pt') as f:
        header = json.loads(f.metadata()['colorized'])
    assert header['format']==FORMAT and header['sampling']==asdict(CONFIG.sampling)

def test_format_1_had_a_gain_and_no_settings(net, tmp_path):
    path = tmp_path/'old.safetensors'
    save_checkpoint(path, net, replace(CONFIG, sampling=SamplingSettings()))
    rewritten(path, format=1, gain=1.4, sampling=None)
    config = load_checkpoint(path)[1]
    assert config.sampling==SamplingSettings(gain=1.4) and config.chroma_scale==17.
    with safe_open(WEIGHTS/'default.safetensors', 'pt') as f:
        header = json.loads(f.metadata()['colorized'])
    packaged = load_checkpoint(WEIGHTS/'default.safetensors')[1]
    if header['format']==1:
        assert packaged.sampling==SamplingSettings(gain=header['gain'])

def test_what_cannot_be_read_is_refused(net, tmp_path):
    path = tmp_path/'a.safetensors'
    save_checkpoint(path, net, CONFIG)
    other = asdict(UNetConfig())
    for changes,word in ((dict(format=99), 'format 99'), (dict(net=other), 'does not hold')):
        save_checkpoint(path, net, CONFIG)
        rewritten(path, **changes)
        with pytest.raises(ValueError, match=word) as e:
            load_checkpoint(path)
        assert 'a.safetensors' in str(e.value)

@pytest.mark.parametrize('place,name,value', [
    ('schedule', None, [1]), ('schedule', None, 'cosine'), ('schedule', 'kind', 'foo'),
    ('schedule', 'foo', 1), ('schedule', 'n_steps', 'x'), ('schedule', 'n_steps', 10**12),
    ('schedule', 'shift', 0), ('param', None, 'eps'), ('chroma_scale', None, 0.),
    ('chroma_scale', None, -20.), ('chroma_scale', None, 'x'), ('sampling', 'anchor_gain', None),
    ('sampling', 'average_until', 'x'), ('sampling', 'steps', 6.5),
    ('sampling', 'min_size', 320_000), ('net', 'groups', -32),
    ('net', 'heads', 0), ('net', 'factor', 0), ('net', 'patch', 2.)])
def test_what_could_not_be_used_is_refused_at_once(net, tmp_path, place, name, value):
    "and the file is named"
    path = tmp_path/'a.safetensors'
    save_checkpoint(path, net, replace(CONFIG, param='x0'))
    old = asdict(CONFIG)[place]
    rewritten(path, **{place: {**old, name: value} if name else value})
    with pytest.raises(ValueError, match='a.safetensors has a configuration that cannot be read'):
        load_checkpoint(path)

@pytest.mark.parametrize('value', [math.nan, math.inf, 1e5])
def test_weights_that_are_not_finite(tmp_path, value):
    "A weight of 100,000 is infinite in half precision"
    net,path = ColorNet(TINY),tmp_path/'a.safetensors'
    net.unet.inp.bias.data[3] = value
    with pytest.raises(ValueError, match='a.safetensors was not written: .*unet.inp.bias.*float16'):
        save_checkpoint(path, net, CONFIG)
    assert not path.exists()
    if value==1e5:
        save_checkpoint(path, net, CONFIG, torch.float32)
        assert load_checkpoint(path)[0].unet.inp.bias[3]==1e5
        return
    save_checkpoint(path, ColorNet(TINY), CONFIG)
    with safe_open(path, 'pt') as f:
        about = f.metadata()
    save_file(net.state_dict(), path, about)
    with pytest.raises(ValueError, match='a.safetensors is damaged: weights of unet.inp.bias are'):
        load_checkpoint(path)

def test_a_file_that_cannot_be_written_leaves_the_old_one(net, tmp_path, monkeypatch):
    path = tmp_path/'a.safetensors'
    path.write_bytes(b'old')
    def full(*_): raise OSError(28, 'No space left on device')
    monkeypatch.setattr('colorized.files.os.replace', full)
    with pytest.raises(OSError, match='No space'):
        save_checkpoint(path, net, CONFIG)
    assert path.read_bytes()==b'old' and len(list(tmp_path.iterdir()))==1

@pytest.mark.parametrize('kwargs,word', [(dict(param='y'), "'x0', 'eps' or 'v'"),
    (dict(schedule=dict(kind='cosine', n_steps=100_001)), 'at most 100,000 steps'),
    (dict(chroma_scale=0), 'chroma_scale must'), (dict(chroma_scale=math.inf), 'chroma_scale must'),
    (dict(schedule=dict(kind='linear'), sampling=SamplingSettings(gain=2.)), 'gain=2.0 needs')])
def test_configurations_that_cannot_be(kwargs, word):
    with pytest.raises(ValueError, match=word):
        ModelConfig(**kwargs)

@pytest.mark.parametrize('name,value', [('gain', 0.), ('gain', -1.), ('cells', 0), ('min_size', 0),
    ('working_size', 0), ('anchor_chroma', 0.), ('temperature', -0.1), ('average_restored', -1.),
    ('anchor_around', 1.5), ('anchor_around', -0.1),
    ('hint_reach', -1.), ('red_shrinkage', 1.1), ('sampler', 'euler'), ('gain', math.inf),
    ('anchor_gain', math.nan),
    ('average_until', -math.inf), pytest.param('gain', 10**400, id='gain-huge'),
    ('temperature', '1'), ('anchor_around', None),
    ('steps', 6.), ('steps', '6'), ('cells', 'x'), ('average', 'no'), ('anchor', 2),
    ('steps', 1001), ('cells', 16385), ('working_size', 4097), ('min_size', 320_000)])
def test_settings_that_cannot_be(name, value):
    with pytest.raises(ValueError, match=f'^{name} must (be|not|lie)'):
        SamplingSettings(**{name: value})

def test_settings_may_be_numbers_of_numpy_and_whole_numbers():
    SamplingSettings(steps=np.int32(4), temperature=np.float32(0.5), gain=2, average=0, anchor=True)

def test_defaults_and_their_changes():
    "The numbers that users of the packaged weights get: none may change without anybody noticing"
    s = SamplingSettings()
    assert asdict(s)==dict(steps=6, sampler='dpmpp_2m', temperature=0.6, last_step=0.08, gain=1.,
        average=True, average_restored=0.7, average_until=1/3, cells=2048, anchor=True,
        anchor_chroma=8., anchor_around=1/6, anchor_gain=1.2, anchor_until=10.,
        red_shrinkage=1., hint_reach=8.,
        working_size=384, min_size=256)
    assert s.changed(steps=None, gain=2.)==SamplingSettings(gain=2.)
    assert load_checkpoint(WEIGHTS/'default.safetensors')[1].sampling==SamplingSettings()
    with pytest.raises(ValueError, match='unknown setting agree, keep; known are steps, sampler'):
        s.changed(keep=1, agree=2)

def test_units_of_hints():
    hints = torch.tensor([20., -40., 0.5]).view(1, 3, 1, 1)
    assert ModelConfig(chroma_scale=10.).scale_hints(hints).flatten().tolist()==[2., -4., 0.5]

def test_settings_are_read_from_text():
    texts = dict(steps='12', gain='1.5', average='No', anchor='1', sampler='ddim')
    got = parse_settings(texts)
    assert got==dict(steps=12, gain=1.5, average=False, anchor=True, sampler='ddim')
    assert [type(o) for o in got.values()]==[int, float, bool, bool, str] and parse_settings({})=={}
    assert [parse_settings(dict(anchor=o))['anchor'] for o in ('0', 'false', 'no', 'true', 'YES')
            ]==[False, False, False, True, True]

@pytest.mark.parametrize('texts,said', [
    (dict(steps='2.5'), "setting steps: expected an integer, got '2.5'"),
    (dict(gain='much'), "setting gain: expected a number, got 'much'"),
    (dict(anchor='2'), "setting anchor: expected 0 or 1, got '2'"),
    (dict(steps='x', none='1'), 'unknown setting none; known are steps, sampler, temperature')])
def test_text_that_is_no_setting(texts, said):
    with pytest.raises(ValueError) as e:
        parse_settings(texts)
    assert str(e.value).startswith(said)

def test_settings_at_their_limits():
    SamplingSettings(temperature=0., average_restored=0., hint_reach=0., cells=1, working_size=1)
    SamplingSettings(steps=1000, cells=16384, working_size=4096, min_size=4096)

def test_defaults_of_a_configuration():
    config = ModelConfig()
    assert (config.param,config.chroma_scale,config.training)==('x0', 20., None)
    assert config.schedule==dict(kind='cosine', n_steps=1000, shift=2.5, zero_terminal=True)
    assert config.make_schedule().alphas_cumprod[-1]==0 and len(config.make_schedule())==1000
    assert ModelConfig.from_dict(json.loads(json.dumps(asdict(CONFIG))))==CONFIG
    assert ModelConfig(schedule=dict(kind='linear')).sampling.gain==1 # which needs no pure noise

def test_files_that_are_no_checkpoints(net, tmp_path):
    path = tmp_path/'a.safetensors'
    with pytest.raises(FileNotFoundError, match=f'^no checkpoint at {path}$'):
        load_checkpoint(path)
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path)
    path.write_bytes(b'rubbish')
    with pytest.raises(ValueError, match=f'^{path} is not a readable safetensors file: '):
        load_checkpoint(path)
    save_file({'a': torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=f'^{path} is a safetensors file, but not a checkpoint of'):
        load_checkpoint(path)
    save_checkpoint(path, net, CONFIG)
    rewritten(path, format=3)
    with pytest.raises(ValueError, match='has checkpoint format 3, this version reads 1 and 2$'):
        load_checkpoint(path)
