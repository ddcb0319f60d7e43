"""Packaging: everything comes from settings.ini, the version from colorized/__init__.py."""
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_namespace_packages, setup

here = Path(__file__).resolve().parent
ini = ConfigParser(delimiters=['='], interpolation=None)
ini.read(here/'settings.ini', encoding='utf-8')
cfg = ini['DEFAULT']
lines = lambda k: [o.strip() for o in cfg.get(k, '').splitlines() if o.strip()]
lib = cfg['lib_name']
init = (here/lib/'__init__.py').read_text(encoding='utf-8')
version = re.search(r'^__version__\s*=\s*["\']([^"\']+)', init, re.M)[1]
statuses = ['0 - None', '1 - Planning', '2 - Pre-Alpha', '3 - Alpha', '4 - Beta',
            '5 - Production/Stable']
extras = {k.removesuffix('_requirements'): lines(k) for k in cfg if k.endswith('_requirements')}
apart = ('bench', 'mutation', 'fuzzing', 'release') # too special for those who develop
extras['dev'] = sorted({r for k,reqs in extras.items() if k not in apart for r in reqs})

setup(
    name=lib,
    version=version,
    description=cfg['description'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    license_expression=cfg['license'],
    keywords=cfg['keywords'].split(),
    python_requires=f">={cfg['min_python']}",
    url=cfg['git_url'],
    project_urls={'Documentation': cfg['doc_url'], 'Repository': cfg['git_url']},
    long_description=(here/'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    classifiers=[f"Development Status :: {statuses[int(cfg['status'])]}",
                 'Intended Audience :: Developers', 'Intended Audience :: Science/Research',
                 'Topic :: Multimedia :: Graphics',
                 *(f'Programming Language :: Python :: {v}' for v in cfg['pythons'].split())],
    packages=find_namespace_packages(include=[lib, f'{lib}.*']),
    package_data={lib: lines('package_data')},
    install_requires=lines('requirements'),
    extras_require=extras,
    entry_points={'console_scripts': lines('console_scripts'),
                  'nbdev': [f'{lib}={lib}._modidx:d']},
    zip_safe=False,
)
