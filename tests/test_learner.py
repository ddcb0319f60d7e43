"""Training: photographs are learnt by heart and grow on the way, a killed run goes on where it was, skipped steps do not count. Several processes: `test_distributed.py`."""
import csv, json, os, platform, signal, subprocess, sys, time
from dataclasses import replace
from functools import partial
from pathlib import Path
import numpy as np, pytest, torch
from PIL import Image
from fastai.callback.core import Callback, CancelStepException
from colorized import learner
from colorized.cli import main
from colorized.colorizer import WEIGHTS, Colorizer
from colorized.data import PhotoFolder, Recipe, Subset
from colorized.encoder import load_pretrained
from colorized.lab import colorfulness
from colorized.learner import bare, ema, train
from colorized.samplers import randn
from colorized.unet import ModelConfig, UNetConfig, fast_bf16, load_model, sample_ab, save_model

torch.set_num_threads(1)
TINY = ModelConfig(net=UNetConfig(widths=(32,64,64)), chroma_scale=20.)
PLAIN = Recipe(size=64, archival=0., no_hints=1.)

def crops(folder, n, side=128):
    "`n` crops of the sample photographs of scikit-image and scikit-learn"
    from skimage import data
    from sklearn.datasets import load_sample_image
    photos = [data.chelsea(), data.coffee(), data.astronaut(), data.rocket(), load_sample_image('china.jpg'), load_sample_image('flower.jpg')]
    rng = np.random.default_rng(0); folder.mkdir()
    for i in range(n):
        crop = np.zeros((side,side,3), np.uint8)
        while colorfulness(torch.from_numpy(crop.copy()).permute(2,0,1)[None])<15: # `PhotoFolder` leaves gray ones out
            p = photos[i%len(photos)]; y,x = rng.integers(0, p.shape[0]-side),rng.integers(0, p.shape[1]-side)
            crop = p[y:y+side,x:x+side]
        Image.fromarray(crop).save(folder/f'{i:03}.png')
    return folder

def go(data, out, **kwargs):
    return train(data, out, **{**dict(valid=data, config=TINY, recipe=PLAIN, num_workers=0, bar=False, bf16=False), **kwargs})

def test_learns_eight_photographs_by_heart(tmp_path):
    data = crops(tmp_path/'photos', 8)
    recipe,eight = Recipe(size=64, archival=0., no_hints=1., min_crop=1.),PhotoFolder(data)
    learn = go(Subset(eight, list(range(8))*100), tmp_path/'run', valid=eight, recipe=recipe, photos=8*300, bs=8, lr=3e-3, decay=0.95, run_args=dict(warmup=20))
    L,_,ab = next(iter(learn.dls.valid))
    net = learn.ema.net.eval()
    with torch.no_grad(): found = sample_ab(net, TINY, net.condition(L), list(range(len(L))), steps=10)
    error,gray = (found-ab).square().mean().sqrt(),ab.square().mean().sqrt()
    assert error < 0.25*gray, f"samples miss the true chroma by {error:.1f} units, gray by {gray:.1f}"

def test_loss_falls_on_256_photographs(tmp_path):
    start = time.time()
    learn = go(crops(tmp_path/'photos', 256, 96), tmp_path/'run', epochs=3, bs=32, lr=2e-3, run_args=dict(warmup=5))
    log = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    assert float(log[-1]['valid_loss']) < 0.9*float(log[0]['valid_loss']) and log[-1]['photos']==str(learn.this_run.photos)
    assert time.time()-start < 120

SCRIPT = """
import sys, torch
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_learner import LONG, go
torch.set_num_threads(1)
go(Path({data!r}), Path({out!r}), **LONG)
"""
LONG = dict(photos=200, bs=8, run_args=dict(minutes=0.01))

def test_survives_kill_9(tmp_path):
    data = crops(tmp_path/'photos', 40)
    script = SCRIPT.format(tests=str(Path(__file__).parent), data=str(data), out=str(tmp_path/'killed'))
    victim = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.DEVNULL)
    state = tmp_path/'killed/state.pt'
    while not state.exists(): assert victim.poll() is None; time.sleep(0.05)
    time.sleep(0.3); victim.send_signal(signal.SIGKILL); victim.wait()
    assert victim.returncode == -signal.SIGKILL, "the run ended before it was killed"
    assert torch.load(state, weights_only=True)['photos'] < LONG['photos']
    for out in ('killed','whole'): go(data, tmp_path/out, resume=out=='killed', **LONG)
    killed,whole = [load_model(tmp_path/o/'model.safetensors')[0].state_dict() for o in ('killed','whole')]
    assert all(torch.equal(killed[k], whole[k]) for k in whole)

def test_killed_between_epochs(tmp_path):
    "The state saved after an epoch's last batch goes on with the next epoch"
    class Kill(Callback):
        order = 80 # after `RunCallback` has saved
        def after_batch(self):
            if self.training and self.learn.this_run.photos==16: raise KeyboardInterrupt
    data = crops(tmp_path/'photos', 16)
    with pytest.raises(KeyboardInterrupt): go(data, tmp_path/'killed', photos=32, bs=8, cbs=[Kill()], run_args=dict(minutes=0, decay=0))
    state = torch.load(tmp_path/'killed/state.pt', weights_only=True); assert (state['epoch0'],state['batch0'],state['photos']) == (1,0,16)
    killed,whole = go(data, tmp_path/'killed', photos=32, bs=8, resume=True, run_args=dict(decay=0)),go(data, tmp_path/'whole', photos=32, bs=8, run_args=dict(decay=0))
    assert all(torch.equal(a, b) for a,b in zip(killed.ema.net.state_dict().values(), whole.ema.net.state_dict().values()))

def test_photographs_grow(tmp_path):
    "The first part of the budget is small, also for workers; the epoch is cut where they grow; the loss that is watched, and the falling rate, belong to the full size"
    seen = []
    class Watch(Callback):
        order,run_valid = 9,True
        def before_batch(self): seen.append((self.training, self.xb[0].shape[-1]))
    recipe = replace(PLAIN, small=32, small_share=0.6)
    learn = go(crops(tmp_path/'photos', 20), tmp_path/'run', photos=40, bs=8, recipe=recipe, num_workers=1, cbs=[Watch()], run_args=dict(warmup=1, decay=0.5))
    watched = [(False,64)]*3
    assert seen == [(True,32)]*3+watched + [(True,32)]+watched + [(True,64)]*2+watched # batches of 8, 8 and 4; then 28 of 40 photographs were seen
    log = list(csv.DictReader((tmp_path/'run/log.csv').open()))
    assert [(o['epoch'],o['photos'],o['size']) for o in log] == [('0','20','32'), ('1','28','32'), ('1','40','64')]
    assert np.array(learn.recorder.lrs)/learn.this_run.lr == pytest.approx([1, 1, 1, 1, 0.5, 1-0.75**0.5]) # before the last two steps 70 and 90 % were spent, 40 % are for the decay
    off = go(tmp_path/'photos', tmp_path/'off', photos=16, bs=8, recipe=replace(recipe, small=0)); assert off.dls.train_ds.size==64 and off.this_run.size==64

class SkipEveryOther(Callback):
    order = 20
    def before_step(self):
        if self.learn.this_run.steps%2: raise CancelStepException()

def test_average_ignores_skipped_steps(tmp_path):
    seen = []
    class Watch(Callback):
        order = 21
        def after_step(self): seen.append([p.detach().clone() for p in bare(self.model).unet.parameters()])
    learn = go(crops(tmp_path/'photos', 8), tmp_path/'run', photos=80, bs=8, decay=0.5, cbs=[SkipEveryOther(), Watch()])
    taken = seen[::2] # fastai fires `after_step` after skipped steps too
    average,f = [p.clone() for p in taken[0]],ema(0.5)
    for n,params in enumerate(taken[1:], 1): f(average, params, n)
    assert int(learn.ema.average.n_averaged) == len(taken) == 5
    for a,b in zip(average, learn.ema.net.unet.parameters()): torch.testing.assert_close(a, b)

def test_the_write_ups_own_plan(tmp_path):
    "A plain U-Net on 64×64 chroma that predicts the noise of the linear schedule, without encoder, hints or patches"
    plan = ModelConfig(net=UNetConfig(factor=1, patch=1, widths=(32,64,64), attention=(False,False,True), encoder=None, hints=False),
                       schedule=dict(kind='linear', n_steps=1000), param='eps', chroma_scale=20.)
    eight = PhotoFolder(crops(tmp_path/'photos', 8))
    learn = go(Subset(eight, list(range(8))*20), tmp_path/'run', valid=eight, config=plan, recipe=Recipe(size=64, factor=1, archival=0., no_hints=1.), weight='simple',
               photos=160, bs=8, lr=2e-3, decay=0.9, run_args=dict(warmup=5))
    losses = [float(o) for o in learn.recorder.losses]
    assert len(losses)==20 and np.mean(losses[-5:]) < 0.9*np.mean(losses[:5])

def test_bfloat16_only_where_it_is_native(tmp_path, monkeypatch):
    "PyTorch imitates bfloat16 where there is none, many times slower than float32"
    info = Path('/proc/cpuinfo')
    if info.exists() and platform.machine()=='x86_64':
        flags = set(info.read_text().split())
        assert 'avx512_bf16' not in flags or fast_bf16(torch.device('cpu'))
        assert flags & {'avx512bw', 'avx_ne_convert'} or not fast_bf16(torch.device('cpu'))
    monkeypatch.setattr(torch.cuda, 'is_bf16_supported', lambda including_emulation=True: including_emulation) # a T4
    assert not fast_bf16(torch.device('cuda'))
    data = crops(tmp_path/'photos', 8)
    for native in (False, True):
        monkeypatch.setattr(learner, 'fast_bf16', lambda device: native)
        assert hasattr(go(data, tmp_path/f'{native}', photos=8, bs=8, bf16=True), 'bf16')==native

def test_settings_reach_the_run(tmp_path):
    "What `--set` names changes network, schedule, lessons and optimiser, is kept by a resumed run, and stands in the checkpoint"
    data = crops(tmp_path/'photos', 16)
    settings = dict(param='v', shift='1', weight='min_snr', widths='32,64', attention='0,1', blocks='2', factor='8', patch='1', archival='0', no_hints='0.2', size='64', bf16='0')
    learn = go(data, tmp_path/'run', config=None, recipe=None, photos=16, bs=8, settings=settings)
    net,config,_ = load_model(tmp_path/'run/model.safetensors')
    assert (config.param,config.schedule['shift'],net.cfg.widths,net.cfg.blocks,net.cfg.factor,net.cfg.patch) == ('v',1.,(32,64),2,8,1)
    assert config.training['settings']==settings and config.chroma_scale!=20. and learn.diffusion.weight=='min_snr'
    assert learn.dls.train_ds.recipe==Recipe(size=64, factor=8, archival=0., no_hints=0.2) and not hasattr(learn, 'bf16')
    more = go(data, tmp_path/'run', config=None, recipe=None, photos=32, bs=8, resume=True)
    assert more.diffusion.config==learn.diffusion.config and more.diffusion.weight=='min_snr' and more.this_run.photos==32
    with pytest.raises(ValueError, match='keeps its network'): go(data, tmp_path/'run', config=None, photos=40, resume=True, settings=dict(blocks='1'))
    with pytest.raises(ValueError, match='unknown setting colour'): go(data, tmp_path/'other', photos=8, settings=dict(colour='red'))
    assert not (tmp_path/'other').exists()

def test_the_encoders_last_stages_learn(tmp_path):
    "`tune`: strides 16 and 32 move, at a tenth of the rate, in the average and in the checkpoint; what lies before does not; a run goes on"
    data = crops(tmp_path/'photos', 16)
    tuned = partial(go, data, tmp_path/'run', bs=8, lr=2e-3, decay=0.5, tune=0.1, run_args=dict(warmup=1, decay=0))
    learn,before = tuned(photos=32),load_pretrained().state_dict()
    assert [o['lr'] for o in learn.opt.hypers] == pytest.approx([2e-4, 2e-3])
    for net,dtype in ((learn.model,torch.float32), (learn.ema.net,torch.float32), (load_model(tmp_path/'run/model.safetensors')[0],torch.float16)):
        same = {k.split('.')[1] if k.startswith('stages') else k.split('.')[0]: True for k in before}
        for k,v in net.encoder.state_dict().items():
            where = k.split('.')[1] if k.startswith('stages') else k.split('.')[0]
            same[where] &= torch.equal(v.float(), before[k].to(dtype).float())
        assert same=={'stem': True, '0': True, '1': True, '2': True, '3': False, '4': False, '5': False, '6': False}
    tuned(photos=48, resume=True)
    whole = go(data, tmp_path/'whole', photos=48, bs=8, lr=2e-3, decay=0.5, tune=0.1, run_args=dict(warmup=1, decay=0)).model.state_dict()
    again = torch.load(tmp_path/'run/state.pt', weights_only=True)['model']
    assert all(torch.equal(whole[k], again[k]) for k in whole)

def test_one_step_of_pure_noise_learns_the_mean(tmp_path):
    "The plain regression: noise in, the mean out; it colours with one step, and ignores the seed once trained on it"
    eight = PhotoFolder(crops(tmp_path/'photos', 8))
    learn = go(Subset(eight, list(range(8))*100), tmp_path/'run', config=None, recipe=replace(PLAIN, min_crop=1.), valid=eight, bs=8, photos=8*120, lr=3e-3, decay=0.9,
               settings=dict(n_steps='1', widths='32,64,64'), run_args=dict(warmup=10))
    losses = [float(o) for o in learn.recorder.losses]; assert np.mean(losses[-10:]) < 0.6*np.mean(losses[:5])
    c = Colorizer.from_pretrained(tmp_path/'run/model.safetensors')
    L = next(iter(learn.dls.valid))[0][:1]; cond = c.condition(L); f = c.net.cfg.factor
    noise = [randn((1, c.net.cfg.channels, L.shape[2]//f, L.shape[3]//f), torch.Generator().manual_seed(s)) for s in (1,2)]
    with torch.no_grad(): a,b = [c.denoise(o, c.schedule.timesteps[-1:], cond).float() for o in noise]
    assert (a-b).square().mean() < 0.1*a.square().mean(), "two noises, one mean"
    with pytest.raises(ValueError, match='1..1'): c.colorize(np.zeros((64,64), np.uint8), steps=4)

def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match='not a folder'): go(tmp_path/'none', tmp_path/'run', photos=8)
    (tmp_path/'empty').mkdir()
    with pytest.raises(ValueError, match='no colour photograph'): go(tmp_path/'empty', tmp_path/'run', photos=8)

def test_command_line(tmp_path, capsys):
    data = crops(tmp_path/'photos', 16); (tmp_path/'wrong').mkdir()
    for i,p in enumerate(sorted(data.iterdir())): Image.open(p).convert('L').save(tmp_path/'wrong'/p.name)
    def run(*args):
        capsys.readouterr(); code = main([*map(str, args)])
        return code,*capsys.readouterr()
    train_ = [*map(str, ['train', '--data', data, '--valid', data, '--out', tmp_path/'run', '--bs', 8, '--size', 64, '--workers', 0, '--threads', 1, '--device', 'cpu'])]
    done = subprocess.run(['colorized', *train_, '--photos', '16', '--fid', '1'], capture_output=True, text=True); assert done.returncode==0, done.stderr
    log = list(csv.DictReader((tmp_path/'run/log.csv').open())); assert float(log[-1]['fid_lite1'])>0 and 'kid_lite1' in log[-1]
    code,_,err = run(*train_, '--photos', 32); assert code==1 and 'already holds a run' in err
    code,out,_ = run(*train_, '--photos', 32, '--resume'); assert code==0 and '32 photographs' in out
    code,out,_ = run('evaluate', '--true', data, '--model', tmp_path/'run/model.safetensors', '--steps', 1); assert code==0
    assert all(o in out for o in ('FID', 'KID', 'grey', 'mean chroma', 'truth', 'lite1'))
    figures = json.loads(run('evaluate', '--true', data, '--colorized', tmp_path/'wrong', '--json')[1])
    assert figures['columns']['colorized']['colorfulness']['value'] < 1 < figures['columns']['truth']['colorfulness']['value']
    assert run('evaluate', '--true', data)[0]==2
    model,other = tmp_path/'run/model.safetensors',tmp_path/'other.safetensors'
    teach = [*map(str, ['train', '--data', data, '--valid', data, '--out', tmp_path/'taught', '--photos', 16, '--bs', 8, '--size', 64, '--workers', 0, '--threads', 1, '--device', 'cpu'])]
    code,out,_ = run(*teach, '--start', model, '--weak', model); assert code==0 and '16 photographs' in out
    code,_,err = run(*teach, '--start', model, '--resume', '--photos', 24); assert code==1 and 'needs the same teacher' in err
    code,out,_ = run(*teach, '--start', model, '--weak', model, '--resume', '--photos', 24); assert code==0 and '24 photographs' in out
    assert load_model(tmp_path/'taught/model.safetensors')[1].training['teacher']['scale']==1.5
    net,config,_ = load_model(model); save_model(other, net, replace(config, schedule={**config.schedule, 'shift': 1.}))
    teach[teach.index(str(tmp_path/'taught'))] = str(tmp_path/'begun')
    code,out,_ = run(*teach, '--start', 'default'); assert code==0
    (mine,config,_),(packaged,its,_) = [load_model(o) for o in (tmp_path/'begun/model.safetensors', WEIGHTS/'default.safetensors')]
    assert config.gain==its.gain and all((a-b).abs().max()<0.01 for a,b in zip(mine.parameters(), packaged.parameters()))
    teach[teach.index(str(tmp_path/'begun'))] = str(tmp_path/'untaught')
    code,_,err = run(*teach, '--start', model, '--weak', other); assert code==2 and 'its schedule is' in err
    code,_,err = run(*teach, '--weak', model); assert code==2 and '--weak needs --start' in err
    assert not (tmp_path/'untaught').exists()
