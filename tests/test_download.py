"""`weights.py download` against a small server that speaks the hub's protocol, on this machine only: nothing is mocked."""
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

import minifaseg
import weights
from minifaseg import InputError
from minifaseg.cartoon.words import tokenizer_files
from minifaseg.checkpoints.checkpoint import Checkpoint, write_single
from minifaseg.checkpoints.hub import (
    CARTOON,
    REPO,
    REPO_COPIES,
    REVISION,
    cached_sd15,
    cached_tokenizer,
    find,
    hub_files,
)
from minifaseg.text import Text, TextConfig
from minifaseg.unet import UNet, UNetConfig
from minifaseg.vae import VAE, VAEConfig

ROOT = Path(__file__).parents[1]
UNET = "unet/diffusion_pytorch_model.safetensors"
HOMES = "|".join(map(re.escape, (REPO, *REPO_COPIES)))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """{name: bytes} of a thin Stable Diffusion 1.x in the repository's layout, float32 and, marked .fp16, float16."""
    path = tmp_path_factory.mktemp("repository")
    vocab, merges = tokenizer_files()
    torch.manual_seed(0)
    nets = {"unet": UNet(UNetConfig(widths=(16, 32, 32, 32), context=16, heads=2, groups=8)),
            "vae": VAE(VAEConfig(widths=(8, 16, 16, 16), groups=8), decoder=True),
            "text": Text(TextConfig(width=16, layers=1, mlp=32, vocabulary=len(json.loads(vocab)), heads=2)).build()}
    notes = {"unet": {"heads": 2, "groups": 8}, "vae": {"groups": 8}, "text": {"heads": 2},
             "tokenizer": {"vocab_json": vocab, "merges_txt": merges}}
    states = {part: {k: v for k, v in net.state_dict().items() if v.is_floating_point()} for part, net in nets.items()}
    write_single(path / "single.safetensors", states, notes)
    assert weights.main(["convert", str(path / "single.safetensors"), str(path / "full"), "--dtype", "keep"]) == 0
    assert weights.main(["convert", str(path / "single.safetensors"), str(path / "half"), "--dtype", "float16"]) == 0
    return {name: (path / "full" / name).read_bytes() for name in hub_files()} | {
        name: (path / "half" / name.replace(".fp16", "")).read_bytes() for name in hub_files(half=True)}


class Hub(ThreadingHTTPServer):
    """Answers HEAD and GET of /REPO/resolve/REVISION/FILE as the hub does. `cut` {file: how many GETs end half way}."""
    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files, self.cut, self.status, self.claim, self.requests, self.redirect = files, {}, None, {}, [], False
        self.stall, self.stalled, self.go_on = None, threading.Event(), threading.Event()
        self.sent = 0                                    # bytes, of all files

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def gets(self, name):
        """The Range headers of the GETs for a file, None where there was none."""
        return [headers.get("Range") for method, path, headers in self.requests if method == "GET" and path.endswith(name)]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        hub, path = self.server, self.path.partition("?")[0]
        hub.requests.append((self.command, path, self.headers))
        found = re.fullmatch(rf"/(?:{HOMES})/resolve/({REVISION}|main)/(.+)|/cdn/(.+)", path)
        name = found and (found[2] or found[3])
        if hub.status or name not in hub.files:
            code, word = hub.status or (404, "EntryNotFound")
            return self.answer(code, {"X-Error-Code": word, "X-Error-Message": "no"} if word else {})
        body = hub.files[name]
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        headers = {"ETag": etag, "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        size = hub.claim.get(name, len(body))
        if hub.redirect and not found[3]:                # large files: the hub sends to its content network
            linked = {"X-Linked-ETag": etag, "X-Linked-Size": str(size), "Location": f"{hub.url}/cdn/{name}"}
            return self.answer(302, headers | linked)
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(start[1]) if start else 0
        if start:
            headers["Content-Range"] = f"bytes {first}-{len(body) - 1}/{len(body)}"
        self.answer(206 if start else 200, headers, body[first:], size - first)

    do_GET = do_HEAD

    def answer(self, code, headers, body=b"", size=None):
        self.send_response(code)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        if self.command == "GET":
            if self.server.stall and self.path.endswith(self.server.stall):
                self.server.stalled.set()
                self.server.go_on.wait(60)
            name = next((n for n in self.server.cut if self.path.endswith(n)), None)
            if name and self.server.cut[name] > 0:
                self.server.cut[name] -= 1
                self.write(body[:len(body) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            else:
                self.write(body)

    def write(self, body):
        self.server.sent += len(body)
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except ConnectionError:                          # the client gave up, as some tests want it to
            pass


@pytest.fixture
def hub(files):
    with Hub(dict(files)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def environment(home, url, **more):
    drop = ("HF_", "HUGGING", "TRANSFORMERS_OFFLINE", "MINIFASEG_WEIGHTS", "XDG_CACHE_HOME")
    keep = {k: v for k, v in os.environ.items() if not k.startswith(drop) and not k.lower().endswith("_proxy")}
    return keep | {"HF_HOME": str(home), "HF_ENDPOINT": url, "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
                   "NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"} | more


def run(home, hub, *options, limit=None, **env):
    def set_limit():
        import resource
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    return subprocess.run([sys.executable, ROOT / "weights.py", "download", *options], env=environment(home, hub.url, **env),
                          text=True, capture_output=True, timeout=300, preexec_fn=set_limit if limit else None)


def snapshot(home):
    return home / "hub" / f"models--{REPO.replace('/', '--')}" / "snapshots" / REVISION


def cached(home):
    folder = snapshot(home)
    return {str(p.relative_to(folder)).replace(os.sep, "/"): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def fails_in_one_line(done, *words):
    assert done.returncode == 1, (done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("weights.py: ") and done.stderr.count("weights.py: ") == 1
    for word in words:
        assert word in last, last


# ---- what works ----------------------------------------------------------------------------------------------------------------
def test_download_then_load(files, hub, tmp_path, monkeypatch, capsys):
    hub.redirect = True
    done = run(tmp_path, hub, HF_TOKEN="hf_only_for_this_test")
    assert done.returncode == 0, done.stderr
    assert cached(tmp_path) == {name: files[name] for name in hub_files()}
    assert str(snapshot(tmp_path)) in done.stdout and "CreativeML Open RAIL-M" in done.stdout
    assert f"8 files, {sum(len(files[n]) for n in hub_files()) / 1e6:.1f} MB" in done.stdout
    heads = [h for method, path, h in hub.requests if "/resolve/" in path]
    assert heads and all(h["Authorization"] == "Bearer hf_only_for_this_test" for h in heads)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))          # for this process, which is offline
    monkeypatch.delenv("MINIFASEG_WEIGHTS", raising=False)
    model = minifaseg.load("sd15", device="cpu")
    assert cached_sd15() == snapshot(tmp_path) and (model.unet.config.widths, model.unet.config.heads) == ((16, 32, 32, 32), 2)
    assert model.text(["a red cat"]).shape == (1, 77, 16)
    capsys.readouterr()
    assert weights.main(["inspect", "sd15"]) == 0 and capsys.readouterr().out.endswith("loads\n")

    before = len(hub.requests)                           # a full cache needs no server: offline, and online too
    for more in ({"HF_HUB_OFFLINE": "1"}, {}):
        again = run(tmp_path, hub, **more)
        assert again.returncode == 0 and "already there" in again.stdout and str(snapshot(tmp_path)) in again.stdout
    assert len(hub.requests) == before


def test_half_and_tokenizer(files, hub, tmp_path):
    done = run(tmp_path, hub, "--tokenizer", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0 and "huggingface_hub" in done.stderr
    assert not re.search(r"\| +(torch|transformers)$", done.stderr, flags=re.M)     # it begins at once
    assert sorted(cached(tmp_path)) == ["tokenizer/merges.txt", "tokenizer/vocab.json"]
    hub.requests.clear()
    assert run(tmp_path, hub, "--half").returncode == 0
    assert cached(tmp_path) == {name: files[name] for name in hub_files(half=True)}
    assert not hub.gets("vocab.json") and not hub.gets(UNET)
    assert next(iter(Checkpoint(snapshot(tmp_path), half=True).unet().parameters())).dtype == torch.float16


def test_the_tokenizer_takes_less_than_two_megabytes(hub, clip_vocabulary, tmp_path):
    """SD 1.5's own two files. The message that a file without a tokenizer gets says how many bytes they are."""
    vocabulary = {f"tokenizer/{name}": (clip_vocabulary / name).read_bytes() for name in ("vocab.json", "merges.txt")}
    hub.files |= vocabulary
    done = run(tmp_path, hub, "--tokenizer")
    assert done.returncode == 0, done.stderr
    assert cached(tmp_path) == vocabulary
    size = sum(map(len, vocabulary.values()))
    assert hub.sent == size <= 2_000_000
    assert f"{size / 1e6:.1f} MB" == "1.6 MB" and "fetching 2 files, 1.6 MB" in done.stdout


FETCH = """if 1:
    import sys
    from huggingface_hub import hf_hub_download
    for name in sys.argv[2:]:
        hf_hub_download(sys.argv[1], name)"""


@pytest.fixture
def fetch(hub, tmp_path, monkeypatch):
    """Fetches files of a repository by the hub library itself; this process sees the same cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("MINIFASEG_WEIGHTS", raising=False)

    def files_of(repo, names):
        done = subprocess.run([sys.executable, "-c", FETCH, repo, *names], text=True,
                              env=environment(tmp_path, hub.url), capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return tmp_path / "hub" / f"models--{repo.replace('/', '--')}" / "snapshots" / REVISION
    return files_of


@pytest.mark.parametrize("repo", REPO_COPIES)
def test_sd15_in_the_cache_under_another_name(fetch, capsys, repo):
    """As diffusers fetched it when that was its home."""
    place = fetch(repo, hub_files())
    assert find("auto") == find("sd15") == place
    assert minifaseg.load("sd15", device="cpu").unet.config.widths == (16, 32, 32, 32)
    assert weights.main(["download"]) == 0               # needs no second download
    out = capsys.readouterr().out
    assert "already there" in out and str(place) in out


def test_the_cache_as_it_fills(fetch):
    """Nothing is found before all is there; then, of two homes, today's."""
    files = hub_files(half=True)
    fetch(REPO_COPIES[0], files[:-1])
    assert find("auto") == CARTOON
    with pytest.raises(InputError, match="sd15: Stable Diffusion 1.5 is not in the hub cache"):
        find("sd15")
    old = fetch(REPO_COPIES[0], files[-1:])
    assert find("auto") == old
    assert fetch(REPO, hub_files()) == find("auto") != old


def test_the_tokenizer_under_another_name(fetch):
    """It serves single files that have none."""
    place = fetch(REPO_COPIES[0], ["tokenizer/vocab.json", "tokenizer/merges.txt"])
    assert cached_tokenizer() == place / "tokenizer" and find("auto") == CARTOON


# ---- what breaks on the way ----------------------------------------------------------------------------------------------------
def test_a_cut_connection_is_resumed(hub, tmp_path):
    body = hub.files[UNET] = os.urandom(25_000_000)      # the hub library writes by 10 MB: a smaller half would be lost
    hub.cut = {UNET: 1}
    done = run(tmp_path, hub)
    if done.returncode:                                  # hub versions that give up at the first cut keep the half
        fails_in_one_line(done, "Run the same command again")
        assert run(tmp_path, hub).returncode == 0
    first, second = hub.gets(UNET)
    assert first is None and 10_000_000 <= int(re.fullmatch(r"bytes=(\d+)-", second)[1]) <= len(body) // 2
    assert cached(tmp_path)[UNET] == body


@pytest.mark.slow
def test_cut_for_good_then_run_again(files, hub, tmp_path):
    """Finished files are not fetched twice. A half file is the hub library's affair: 2.4 starts it anew, older ones resume."""
    hub.cut = {UNET: 100}
    body, hub.files[UNET] = hub.files[UNET], b""         # an empty answer counts as no progress, so the library gives up
    hub.claim = {UNET: len(body)}
    fails_in_one_line(run(tmp_path, hub), "broke off", "Run the same command again, finished files are kept")
    assert UNET not in cached(tmp_path) and "unet/config.json" in cached(tmp_path)
    hub.cut, hub.claim, hub.files[UNET] = {}, {}, body
    hub.requests.clear()
    assert run(tmp_path, hub).returncode == 0
    assert cached(tmp_path) == {name: files[name] for name in hub_files()}
    assert not hub.gets("unet/config.json") and len(hub.gets(UNET)) == 1


def test_offline_with_an_empty_cache(hub, tmp_path):
    fails_in_one_line(run(tmp_path, hub, HF_HUB_OFFLINE="1"), "HF_HUB_OFFLINE is set", "unet/config.json", str(tmp_path))
    assert not hub.requests


def test_no_server(hub, tmp_path):
    with socket.socket() as free:                        # bound and not listening: connections are refused
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        fails_in_one_line(run(tmp_path, hub, HF_ENDPOINT=url), "is there a connection?", url)


@pytest.mark.parametrize("status, words", [
    ((403, "GatedRepo"), ("HTTP 403", "HF_TOKEN")), ((401, None), ("HTTP 401", "HF_TOKEN")), ((403, None), ("HTTP 403",)),
    ((404, "RepoNotFound"), ("HTTP",)), ((500, None), ("HTTP 500", "try again later"))])
def test_refusals(hub, tmp_path, status, words):
    hub.status = status
    fails_in_one_line(run(tmp_path, hub), *words)
    assert not cached(tmp_path)


def test_one_file_is_not_there(hub, tmp_path):
    del hub.files["tokenizer/merges.txt"]
    fails_in_one_line(run(tmp_path, hub), "HTTP 404", "tokenizer/merges.txt")
    assert not hub.gets("")                              # found out before anything large was fetched


def test_disk_too_small(hub, tmp_path):
    hub.claim = {UNET: 10 ** 18}
    fails_in_one_line(run(tmp_path, hub), "needs 1000000", "make room")
    assert not hub.gets("")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_disk_full_on_the_way(hub, tmp_path):
    """A file-size limit of the operating system stands in for a disk that fills up."""
    fails_in_one_line(run(tmp_path, hub, limit=300_000), "the disk is full")
    assert UNET not in cached(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGINT")
def test_interrupt(hub, tmp_path):
    hub.stall = UNET
    process = subprocess.Popen([sys.executable, ROOT / "weights.py", "download"], env=environment(tmp_path, hub.url), text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert hub.stalled.wait(120)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    hub.go_on.set()
    assert process.returncode == 130 and err.endswith("weights.py: interrupted\n") and "Traceback" not in err
    assert UNET not in cached(tmp_path)
