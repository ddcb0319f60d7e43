"Services to the process that its numbers show"
import platform, subprocess, sys
import pytest
from fastcore.script import anno_parser
from colorized.cli import main as entry
from colorized.cli.options import load_colorizer

glibc = sys.platform.startswith('linux') and platform.libc_ver()[0]=='glibc'

@pytest.mark.skipif(not glibc, reason='the GNU C library only')
def test_training_and_evaluation_keep_their_memory():
    "Blocks of 64 MB, freed and allocated again, are not fetched from the system anew"
    code = """if 1:
        import resource, sys, torch
        from colorized.cli.options import keep_memory
        if sys.argv[1]=='keep': keep_memory()
        def faults(n):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(n): torch.ones(2**24)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt-before
        faults(1)
        print(faults(8))"""
    def faults(how):
        r = subprocess.run([sys.executable, '-c', code, how], check=True, capture_output=True)
        return int(r.stdout)
    assert faults('keep') < 0.1*faults('not')

def test_threads_are_set():
    code = """if 1:
        from colorized.cli.options import set_threads
        import sys
        set_threads(None)
        assert 'torch' not in sys.modules
        set_threads(3)
        import torch
        assert torch.get_num_threads()==3"""
    subprocess.run([sys.executable, '-c', code], check=True)

def test_settings_of_the_model():
    "Named by --set they are taken; 0 is a value, too"
    c = load_colorizer('default', 'cpu', ['temperature=0', 'average=no'])
    assert (c.settings.temperature, c.settings.average)==(0., False)
    refused = {'steps': 'KEY=VALUE', 'steps=x': 'an integer', 'agree=1': 'known are steps'}
    for bad,word in refused.items():
        with pytest.raises(ValueError, match=word):
            load_colorizer(set=[bad])

def test_defaults_that_the_help_names_are_those_of_the_settings():
    from colorized.cli.options import Steps, Temperature
    from colorized.model.checkpoint import SamplingSettings
    s = SamplingSettings()
    for option,value in (Steps, s.steps), (Temperature, s.temperature):
        assert option.__metadata__[0].endswith(f'(default: {value})')

@pytest.mark.parametrize('name', ['photo', 'fleet', 'iiif'])
def test_a_format_goes_by_both_of_its_names(name, capsys):
    func = entry.color if name=='photo' else entry.COMMANDS[name]
    parser = anno_parser(func)
    place = [] if name=='photo' else ['from', '--out', 'to']
    def told(text): return parser.parse_args([*place, '--format', text]).format
    assert [told(o) for o in ('jpg', 'jpeg', 'JPG', 'png')]==['jpeg', 'jpeg', 'jpeg', 'png']
    if name!='iiif':
        assert told('tif')==told('tiff')=='tiff'
        return
    with pytest.raises(SystemExit): told('tif') # a browser shows none
    assert 'webp' in capsys.readouterr().err
