"Loaders: which photographs are learned from, in which order, and who gets which part of a batch"
import os
import numpy as np, pytest
from colorized.training.examples import ColorizationDataset, Recipe
from colorized.training.loaders import ResumableLoader, _files, photo_dataloaders
from colorized.photo.scan import ScanError
from colorized.training.sources import PhotoFolder, Subset
from test_sources import folder
from training_helpers import pictures

SMALL = Recipe(size=64, small=0)

def test_run_and_validation_are_not_learnt_from(tmp_path):
    "Both may lie below the photographs; a source that is the whole folder leaves nothing out"
    root = folder(tmp_path/'photos', 3)
    watched,run = folder(root/'watched', 2),folder(root/'runs'/'a', 1)
    dls = photo_dataloaders(root, watched, recipe=SMALL, index=run)
    assert [len(dls.train_ds), len(dls.valid_ds)]==[3, 2]
    source = PhotoFolder(watched)
    assert len(photo_dataloaders(root, source, recipe=SMALL, index=run).train_ds)==3
    assert len(photo_dataloaders(root, root, recipe=SMALL, index=tmp_path).train_ds)==6
    assert sorted(o.name for o in run.glob('*.json'))==['train.json', 'valid.json']

def test_watched_photographs_are_not_learnt_from(tmp_path):
    "Nor by links, in either direction; a folder that is watched as a whole is not learned from"
    root,watched = folder(tmp_path/'photos', 3),folder(tmp_path/'watched', 2)
    (watched/'a.png').symlink_to(root/'0.png')
    (root/'b.png').symlink_to(watched/'1.png')
    for source in (watched, PhotoFolder(watched), Subset(PhotoFolder(watched), [0, 1, 2])):
        learned = photo_dataloaders(root, source, recipe=SMALL).train_ds.source
        assert [o.name for o in learned.files]==['1.png', '2.png']
    some = Subset(PhotoFolder(watched), [2]) # a.png: what is not watched may be learned from
    (root/'b.png').unlink()
    assert len(photo_dataloaders(root, some, recipe=SMALL).train_ds)==2
    with pytest.raises(ValueError, match='photos lies within .*, which is watched'):
        photo_dataloaders(root, tmp_path, recipe=SMALL)

@pytest.mark.parametrize('workers', [0, 2])
def test_a_photograph_that_vanishes_is_one_line(tmp_path, workers):
    "Helpers say no more than the process itself"
    dls = photo_dataloaders(root := folder(tmp_path/'photos', 3), root, bs=1, recipe=SMALL,
                            num_workers=workers)
    (root/'1.png').unlink()
    with pytest.raises(ScanError) as e: list(dls.valid)
    assert str(e.value)==f'{root}/1.png: no such file'

def test_order_is_decided_by_seed_and_epoch():
    "Pinned: a resumed run must find the order of the version that began it"
    dl = ResumableLoader(ColorizationDataset(list(range(10)), SMALL), bs=4, shuffle=True, seed=1)
    order = lambda: [i for i,*_ in dl.get_idxs()]
    assert order()==np.random.default_rng([1, 0]).permutation(10).tolist()
    assert all(key[1:]==(1, 0) for key in dl.get_idxs())
    whole = order()
    dl.start = 2
    assert order()==whole[8:]
    dl.epoch,dl.start = 3,0
    assert order()==np.random.default_rng([1, 3]).permutation(10).tolist()!=whole

@pytest.mark.parametrize('world', [1, 2, 3, 4])
@pytest.mark.parametrize('n', [1, 11, 12, 13, 24])
def test_each_photograph_falls_to_one_process(world, n):
    "Every batch is shared out without rest; all processes see as many batches"
    data = ColorizationDataset(list(range(n)), SMALL)
    loaders = [ResumableLoader(data, bs=12, rank=r, world=world) for r in range(world)]
    assert len({len(o) for o in loaders})==1
    for k in range(len(loaders[0])):
        batch = loaders[0].positions(k)[0]
        assert [p for o in loaders for p in o.positions(k)[1]]==list(batch)
        assert batch==range(12*k, min(12*k+12, n))
    for o in loaders: # a blank where there is no photograph: all take as many steps
        keys,without = o.get_idxs(),not o.positions(len(o)-1)[1]
        assert keys.count(None)==without and (keys[-1] is None)==without

def test_what_cannot_be_is_refused():
    data = ColorizationDataset(pictures(2), SMALL)
    with pytest.raises(ValueError, match='bs must be at least 1, got 0'):
        ResumableLoader(data, bs=0)
    with pytest.raises(ValueError, match='2 processes cannot share a batch of 3'):
        ResumableLoader(data, bs=3, world=2)
    with pytest.raises(ValueError, match='two photographs to share, got 1.*valid'):
        photo_dataloaders(pictures(1))

def test_every_so_manieth_picture_is_held_back():
    for share,every in ((0.1, 10), (0.25, 4), (1., 2)):
        dls = photo_dataloaders(list(range(40)), valid_share=share)
        held = dls.valid_ds.source.idxs
        assert held==list(range(0, 40, every))
        assert sorted(held+dls.train_ds.source.idxs)==list(range(40))

def learned_and_watched(dls):
    "Whole names of the files that are learned from, and of those that are watched"
    return [{str(f.resolve()) for f in _files(o.source)} for o in (dls.train_ds, dls.valid_ds)]

def test_a_part_of_the_same_folder_is_not_learned_from(tmp_path):
    root = folder(tmp_path/'photos', 6)
    whole = PhotoFolder(root)
    for train in root,whole:
        learned,watched = learned_and_watched(
            photo_dataloaders(train, Subset(whole, [0, 3]), recipe=SMALL))
        assert len(watched)==2 and len(learned)==4 and not learned&watched
    assert len(photo_dataloaders(whole, root, recipe=SMALL).train_ds)==6 # on purpose

def test_a_folder_below_a_source_is_not_learned_from(tmp_path):
    root = folder(tmp_path/'photos', 3)
    folder(root/'watched', 2)
    learned,watched = learned_and_watched(
        photo_dataloaders(PhotoFolder(root), root/'watched', recipe=SMALL))
    assert len(learned)==3 and len(watched)==2 and not learned&watched

@pytest.mark.parametrize('link', [os.symlink, os.link])
def test_links_to_what_is_held_back_are_not_learned_from(tmp_path, link):
    root = folder(tmp_path/'photos', 4)
    (root/'z').mkdir()
    link(root/'0.png', root/'z/0.png')
    dls = photo_dataloaders(root, recipe=SMALL)
    names = [[o.name for o in _files(d.source)] for d in (dls.train_ds, dls.valid_ds)]
    assert names==[['1.png', '2.png', '3.png'], ['0.png']]
