"What can be asked for is declared once, and means what it says"
import inspect
import numpy as np, pytest
from fastcore.docments import docments
from batch_tools import photographs, quick
from colorized.batch.folder import colorize_folder
from colorized.batch.ledger import read_report
from colorized.photo.provenance import expected_properties, settings_sha256
from colorized.batch.options import BatchOptions

BAD = [dict(steps=0), dict(saturation=-1), dict(temperature=-1), dict(working_size=100),
       dict(workers=-1), dict(batch=0), dict(format='gif'), dict(bits=16, format='jpeg'),
       dict(bits=16), dict(quality=0), dict(quality=101), dict(source_type='a b'),
       dict(source_type='digitalCapture')]

@pytest.mark.parametrize('kwargs', BAD, ids=str)
def test_bad_settings_name_themselves(tmp_path, colorizer, kwargs):
    src = photographs(tmp_path/'in', 1)
    name = next(iter(kwargs)).replace('bits', '16')
    with pytest.raises(ValueError, match=name): quick(src, tmp_path/'out', colorizer, **kwargs)
    assert not (tmp_path/'out').exists()

def test_source_that_is_no_folder(tmp_path, colorizer):
    src = photographs(tmp_path/'in', 1)
    with pytest.raises(ValueError, match='must be a folder'):
        quick(src/'00.jpg', tmp_path/'out', colorizer)

def test_integers_of_numpy_are_integers(tmp_path, colorizer):
    src,numbers = photographs(tmp_path/'in', 1),dict(seed=3, bits=8, quality=90)
    theirs = {k: np.int64(v) for k,v in numbers.items()}
    assert quick(src, tmp_path/'out', colorizer, steps=1, **theirs).done==1
    assert read_report(tmp_path/'out')['00.jpg']['seed']==3
    assert quick(src, tmp_path/'out', colorizer, steps=1, **numbers).skipped==1

def test_signature_is_honest():
    "Every option is a keyword argument with its default and its documentation"
    options = inspect.signature(BatchOptions).parameters
    folder = inspect.signature(colorize_folder).parameters
    own = {'src', 'dst', 'colorizer', 'workers', 'batch'}
    assert set(folder)==own|set(options) and not own&set(options)
    assert all(folder[k].default==o.default for k,o in options.items())
    keyword_only = {k for k,o in folder.items() if o.kind==inspect.Parameter.KEYWORD_ONLY}
    assert keyword_only=={*options, 'workers', 'batch'}
    docs = docments(colorize_folder)
    assert all(docs[k] for k in folder)
    with pytest.raises(TypeError, match='sede'): colorize_folder('in', 'out', sede=1)

def test_every_setting_is_in_the_hash(colorizer):
    "and what does not change the output is not"
    changes = [dict(), dict(seed=1), dict(steps=3), dict(temperature=0.5), dict(saturation=0.5),
               dict(working_size=288), dict(bits=8), dict(quality=80),
               dict(source_type='composite')]
    hashes = [settings_sha256(BatchOptions(**o).provenance(colorizer)) for o in changes]
    assert len(set(hashes))==len(changes) and all(len(o)==64 for o in hashes)
    same = [dict(resume=False), dict(overwrite=True), dict(progress=False), dict(uncertainty=True)]
    for o in same: assert settings_sha256(BatchOptions(**o).provenance(colorizer))==hashes[0]

def test_expected_provenance_names_the_original(colorizer):
    said = expected_properties(BatchOptions(seed=3).provenance(colorizer, 'abc'))
    assert said['source_sha256']=='abc' and said['Seed']=='3'
    assert said['ModelSHA256']==colorizer.sha256
