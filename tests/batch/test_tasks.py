"What workers do: read, ask what is done, write"
import os, shutil
import numpy as np, pytest, torch
from PIL import Image
from batch_tools import litter, photographs
from colorized.batch.tasks import (
    check_outputs, describe_photo, file_state, load_lightness, predict_chroma, write_output)
from colorized.files import sha256_of
from colorized.photo.provenance import Provenance, read_provenance
from colorized.photo.reading import read_scan
from colorized.photo.scan import ScanError

SETTINGS = dict(steps=2, temperature=1., saturation=1.)

@pytest.fixture
def photo(tmp_path):
    return photographs(tmp_path/'in', 1, (480, 320))/'00.jpg'

@pytest.fixture
def made(photo):
    return Provenance('base', 'ab'*32, 3, 2, dict(source_sha256=sha256_of(photo)))

def chroma(n, seed=0):
    return 20*torch.randn(n, 2, 16, 24, generator=torch.Generator().manual_seed(seed)).numpy()

FILE = dict(overwrite=False)

def test_a_photograph_in_a_row_of_the_report(photo):
    row = describe_photo(photo, read_scan(photo))
    assert row==dict(width=480, height=320, bits=8, source_bytes=photo.stat().st_size,
                     source_sha256=sha256_of(photo), warnings=[], tone='neutral', hue=0., chroma=0.)
    sepia = photo.with_name('sepia.png')
    gray = np.asarray(Image.open(photo).convert('L'), float)
    toned = gray[...,None]*[1., 0.85, 0.7]
    Image.fromarray(toned.astype(np.uint8)).save(sepia)
    row = describe_photo(sepia, read_scan(sepia))
    assert row['tone']=='toned' and 50<row['hue']<90 and 3<row['chroma']<40
    assert row['hue']==round(row['hue'], 1) and row['chroma']==round(row['chroma'], 1)

def test_a_file_that_has_changed_is_seen(photo):
    before = file_state(photo)
    assert before==file_state(str(photo))==(photo.stat().st_size, photo.stat().st_mtime_ns)
    os.utime(photo, ns=(0, before[1]+1))
    assert file_state(photo)==(before[0], before[1]+1)

def test_lightness_has_the_shape_of_the_network(photo):
    L,state,row = load_lightness(photo, dict(size=96, multiple=32))
    assert L.shape==(1, 1, 96, 128) and L.dtype==np.float32 and state==file_state(photo)
    assert np.array_equal(L, read_scan(photo).thumbnail_L((96, 128)).numpy())
    assert 0<row.pop('seconds')<60 and row==describe_photo(photo, read_scan(photo))

def test_chroma_of_several_is_that_of_each(colorizer, photo):
    L = torch.from_numpy(load_lightness(photo, colorizer.grid(64))[0])
    both = predict_chroma(colorizer, [L, L.flip(-1)], {**SETTINGS, 'saturation':0.5}, [3, 4])
    assert len(both)==2 and both[0].shape[:2]==(2, 2)
    for x,ab in zip((L, L.flip(-1)), both):
        alone = colorizer.sample(colorizer.condition(x), [3, 4], steps=2, temperature=1.)
        assert torch.allclose(ab, 0.5*alone, atol=1e-4)
    warm,cold = (predict_chroma(colorizer, [L], {**SETTINGS, 'temperature':t}, [3])[0]
                 for t in (1., 0.))
    assert not torch.allclose(warm, cold)

def test_the_row_of_what_was_written(photo, made, tmp_path):
    out = tmp_path/'out.jpg'
    row = write_output(photo, file_state(photo), chroma(1), [3], made, [out], FILE)
    assert 0<row.pop('seconds')<60
    assert row==dict(output_bytes=out.stat().st_size, output_sha256=sha256_of(out), warnings=[],
                     uncertainty=None)

def test_a_map_is_written_beside_several_samples(photo, made, tmp_path):
    outputs = [tmp_path/'out.png', tmp_path/'map.png']
    row = write_output(photo, file_state(photo), chroma(3), [3, 4, 5], made, outputs, FILE)
    assert Image.open(outputs[1]).size==(480, 320) and row['uncertainty']>5
    assert row['uncertainty']==round(row['uncertainty'], 2)
    said = [read_provenance(o) for o in outputs]
    assert [o['quality'] for o in said]==['95', '95']
    assert 'samples' not in said[0] and said[1]=={**said[0], 'samples': '3'}
    one = write_output(photo, file_state(photo), chroma(3)[:1], [3], made, outputs[:1],
                       dict(overwrite=True))
    assert one['uncertainty'] is None and len(litter(tmp_path))==0

def test_a_map_has_1024_pixels_a_side_at_most(made, tmp_path):
    photo = photographs(tmp_path/'large', 1, (2048, 9))/'00.jpg'
    made.settings['source_sha256'] = sha256_of(photo)
    outputs = [tmp_path/'out.png', tmp_path/'map.png']
    write_output(photo, file_state(photo), chroma(2), [3, 4], made, outputs, FILE)
    assert Image.open(outputs[1]).size==(1024, 4) and Image.open(outputs[0]).size==(2048, 9)

def test_where_the_map_finds_no_place_nothing_is_written(photo, made, tmp_path):
    name = f"{'n'*240}.png"
    outputs = [tmp_path/name, tmp_path/f'{name}.uncertainty.png']
    with pytest.raises(OSError, match='too long'):
        write_output(photo, file_state(photo), chroma(2), [3, 4], made, outputs, FILE)
    assert not outputs[0].exists() and not litter(tmp_path)

def test_a_photograph_that_changed_meanwhile_is_not_written(photo, made, tmp_path):
    state = file_state(photo)
    os.utime(photo, ns=(0, 0))
    with pytest.raises(ScanError, match=f'^{photo}: was changed while it was being colored$'):
        write_output(photo, state, chroma(1), [3], made, [tmp_path/'out.jpg'], FILE)
    assert not (tmp_path/'out.jpg').exists()

def test_what_stands_there_is_judged_by_the_file(photo, made, tmp_path):
    outputs = [tmp_path/'out.jpg', tmp_path/'map.png']
    write_output(photo, file_state(photo), chroma(2), [3, 4], made, outputs, FILE)
    wanted = lambda seed=3: Provenance('base', 'ab'*32, seed, 2, {})
    ask = lambda files,known=False,**k: check_outputs(photo, files, wanted(**k), known)
    assert ask(outputs[:1], known=True)[::2]==('done', {})
    kind,_,row = ask(outputs[:1])
    assert kind=='done' and row==dict(
        describe_photo(photo, read_scan(photo)), output_bytes=outputs[0].stat().st_size,
        output_sha256=sha256_of(outputs[0]))
    assert ask(outputs)==('done', '', row) # of two outputs, what is told is of the first
    assert ask(outputs[:1], seed=4)[0]=='other' and ask(outputs[:1], seed=4)[2]=={}
    outputs[1].unlink() # one of two
    assert ask(outputs)==('broken', 'is not complete', {})
    shutil.copy(photo, outputs[1]) # a stranger's
    assert ask(outputs)[0]=='other'
    outputs[0].write_bytes(outputs[0].read_bytes()[:-1000])
    assert ask(outputs[:1])[0]=='broken'
