"""What is published is one whole commit with a card that tells the truth, and what is pinned never changes."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import struct
from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load as parse

from eqmodels import Encoder, EqmodelsError, create_model, load
from eqmodels.backbones import SteerableResNet
from eqmodels.cli import main
from eqmodels.evaluation import evaluate
from eqmodels.hub import ZooEntry, entry_of, list_models, load_pretrained, publish
from eqmodels.hub.card import model_card
from eqmodels.hub.publish import publication_files
from eqmodels.training import Pretraining, Run, save_run
from eqmodels.training.run import provenance
from tests.hub_server import Fault, HubServer, User
from tests.training.runs import photos, tiny

NAME, TWIN = "c4_resnet18_w4.rot_photos", "resnet18_w4.rot_photos"
REPOSITORY = "org/network"
TOKEN = "hf_secretOfTheWriter"
TOKENS = {TOKEN: User("org", write=True), "hf_reader": User("org"), "hf_other": User("other", write=True)}
PUBLISHING = import_module("eqmodels.hub.publish")  # the package's `publish` is the function
NAMES = ["README.md", "config.json", "model.safetensors", "recipe.json", "results.json", "turns.png"]


# What is published, also in the other tests of the Hub.


@cache
def network(name: str = NAME, seed: int = 0) -> dict[str, bytes]:
    """The files of a folder of the zoo: a network that learnt nothing, measured on a few images."""
    data = photos()
    head = "equivariant" if name.startswith("c4") else "linear"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        training = Pretraining(tiny(model=name.partition(".")[0], head=head, data="photos", seed=seed), data)
        model = training.model.eval()
        for value in model.state_dict().values():
            if value.dim() == 1:  # scales, shifts and statistics as after a training: all differ
                value.uniform_(0.5, 1.5)
    row = {"epoch": 1, "loss": 1.25, "accuracy_rotation": 0.5}
    run = Run(training.config, model, training.task, training.preprocessing, [row], provenance(data, 90.0, 1))
    with TemporaryDirectory() as place:
        folder = Path(place)
        save_run(folder, run)
        measured = evaluate(run, data, photos(24), fractions=(), curve_images=8, strengths=(1e-3,))
        (folder / "results.json").write_text(json.dumps({"evaluation": measured.to_dict()}))
        (folder / "recipe.json").write_text(json.dumps(training.config.to_dict()))
        return {file.name: file.read_bytes() for file in folder.iterdir()}


def make_zoo(folder: Path, seed: int = 0) -> Path:
    """Writes the network and its twin into folders of their own, and returns that of the former."""
    for name, files in ((NAME, network(seed=seed)), (TWIN, network(TWIN))):
        write(folder / name, files)
    return folder / NAME


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Writes files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    return folder


@cache
def publication(seed: int = 0) -> dict[str, bytes]:
    """All files of the repository, as `publish` makes them."""
    with TemporaryDirectory() as place:
        return publication_files(make_zoo(Path(place), seed), REPOSITORY)


def prepare(monkeypatch) -> None:
    """What is checked and drawn before the Hub is asked anything is remembered, of the folders of `make_zoo`."""

    def remembered(folder: Path, _: str) -> dict[str, bytes]:
        weights = (folder / "model.safetensors").read_bytes()
        return publication(0 if weights == network()["model.safetensors"] else 1)

    monkeypatch.setattr(PUBLISHING, "verify", lambda _: SimpleNamespace(passed=True))
    monkeypatch.setattr(PUBLISHING, "publication_files", remembered)


def features(encoder: Encoder) -> torch.Tensor:
    """Of fixed images."""
    images = torch.rand(3, encoder.in_chans, 12, 12, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return encoder(images)


def assert_is_network(encoder: Encoder, seed: int = 0) -> None:
    """Asserts that the backbone is the published one, bit for bit, with its preprocessing."""
    expected = parse(network(seed=seed)["model.safetensors"])
    state = {f"backbone.{name}": value for name, value in encoder.state_dict().items() if "pose" not in name}
    assert state.keys() == {name for name in expected if name.startswith("backbone.")}
    assert all(torch.equal(value, expected[name]) for name, value in state.items())
    assert encoder.preprocessing.size == (12, 12)
    assert not encoder.training


def refuses(sentence, call, *arguments, error=EqmodelsError, **options):
    """Asserts that a call ends with one sentence that matches, and gives it."""
    with pytest.raises(error, match=sentence) as caught:
        call(*arguments, **options)
    words = str(caught.value)
    assert "\n" not in words
    assert words.isprintable()
    assert TOKEN not in words
    return words


@pytest.fixture
def server():
    with HubServer(TOKENS) as hub:
        yield hub


@pytest.fixture
def api(server, tmp_path):
    """The client of one who may write."""
    with server.client(tmp_path / "home", TOKEN) as client:
        yield client


@pytest.fixture
def folder(tmp_path):
    return make_zoo(tmp_path / "zoo")


@pytest.fixture
def prepared(monkeypatch):
    """Where the card is not what is tested."""
    prepare(monkeypatch)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A Hub to which the command has published the network, and what it printed; for reading only."""
    place = tmp_path_factory.mktemp("published")
    folder = make_zoo(place / "zoo")
    with HubServer(TOKENS) as server, server.client(place / "home", TOKEN) as api:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main(["publish", str(folder), "--repo", REPOSITORY]) == 0
        yield SimpleNamespace(server=server, api=api, place=place, folder=folder, out=out.getvalue())


# One commit, and a tag.


def test_one_commit_brings_all_files_and_a_tag_names_it(published):
    server, api = published.server, published.api
    first, initial = api.list_repo_commits(REPOSITORY)
    assert (first.title, initial.title) == ("Weights, results and card by eqmodels", "initial commit")
    assert sorted(api.list_repo_files(REPOSITORY)) == [".gitattributes", *NAMES]
    assert len(server.calls("POST .*/commit/")) == 1
    assert not api.model_info(REPOSITORY).private
    (tag,) = api.list_repo_refs(REPOSITORY).tags
    digest = sha256(network()["model.safetensors"]).hexdigest()
    assert (tag.name, tag.target_commit) == (f"weights-{digest[:12]}", first.commit_id)
    for name, content in publication().items():
        assert Path(api.hf_hub_download(REPOSITORY, name)).read_bytes() == content


def test_the_commit_the_hashes_and_the_line_for_the_index_are_printed(published):
    entry = ZooEntry(**json.loads(published.out.splitlines()[-1]))
    commit = published.api.model_info(REPOSITORY).sha
    assert entry == entry_of(published.folder, REPOSITORY, commit)
    assert entry.commit == commit
    assert (entry.name, entry.license, entry.task, entry.group) == (NAME, "mit", "rotation", "c4")
    assert f"published {REPOSITORY} at {commit}, tag weights-{entry.sha256[:12]}" in published.out
    for content in publication().values():
        assert sha256(content).hexdigest() in published.out


@pytest.mark.parametrize("revision", ["", "@main", "tag", "commit", "short commit"])
def test_every_name_of_the_revision_loads_the_same_network(published, revision):
    (tag,) = published.api.list_repo_refs(REPOSITORY).tags
    names = {"tag": f"@{tag.name}", "commit": f"@{tag.target_commit}", "short commit": f"@{tag.target_commit[:8]}"}
    encoder = load(f"hub:{REPOSITORY}{names.get(revision, revision)}")
    assert_is_network(encoder)
    assert torch.equal(features(encoder), features(load(published.folder)))


def test_the_published_network_is_found_among_others(published):
    published.server.publish("org/other", {"README.md": b"---\nlibrary_name: timm\n---\n"})
    found = list(published.api.list_models(filter=["eqmodels", "equivariant", "c4"], full=True))
    assert [one.id for one in found] == [REPOSITORY]
    assert found[0].pipeline_tag == "image-feature-extraction"
    assert [one.id for one in published.api.list_models(author="org", search="net")] == [REPOSITORY]


def test_the_same_files_again_are_no_new_commit(published, capsys):
    before, commit = len(published.server.requests), published.api.model_info(REPOSITORY).sha
    assert main(["publish", str(published.folder), "--repo", REPOSITORY]) == 0
    assert f"nothing changed: {REPOSITORY} stays at {commit}" in capsys.readouterr().out
    assert published.api.model_info(REPOSITORY).sha == commit
    assert len(published.api.list_repo_commits(REPOSITORY)) == 2
    assert not [call for call in published.server.requests[before:] if call.method == "PUT" or "/commit/" in call.path]


def test_a_dry_run_shows_the_same_and_asks_the_hub_nothing(published, capsys):
    before = len(published.server.requests)
    assert main(["publish", str(published.folder), "--repo", REPOSITORY, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert len(published.server.requests) == before
    assert "dry run, nothing was sent" in out
    assert out.split("\n\n")[0] == published.out.split("\n\n")[0]
    entry = json.loads(out.splitlines()[-1])
    assert entry == {**json.loads(published.out.splitlines()[-1]), "commit": None}


def test_the_token_is_in_headers_alone_and_never_goes_to_the_storage(published, capsys):
    assert_is_network(load(f"hub:{REPOSITORY}", force_download=True))
    calls = published.server.requests
    assert {call.headers.get("authorization") for call in calls} == {f"Bearer {TOKEN}", None}
    assert not any("authorization" in call.headers for call in calls if call.path.startswith("/storage/"))
    printed = capsys.readouterr()
    words = [published.out, printed.out, printed.err, *(call.path for call in calls)]
    words += [f"{name}: {value}" for call in calls for name, value in call.headers.items() if name != "authorization"]
    assert not any(TOKEN in word for word in words)
    stored = [file for file in published.place.rglob("*") if file.is_file()]
    assert len(stored) > len(NAMES)
    assert not any(TOKEN.encode() in file.read_bytes() for file in stored)
    assert not any(TOKEN.encode() in blob for blob in published.server.storage.blobs.values())


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f" {TOKEN}", f"{TOKEN}\r\nX-Other: 1", f"{TOKEN}é", ""])
def test_a_token_that_cannot_be_one_is_not_quoted(folder, api, token):
    sentence = "^a token has letters, digits and signs only; the one given .* is not shown here"
    refuses(sentence, publish, folder, REPOSITORY, token=token, error=ValueError)
    refuses(sentence, load, f"hub:{REPOSITORY}", token=token, error=ValueError)


def test_what_the_token_may_not_do_is_said_without_it(folder, server, tmp_path, prepared):
    server.publish("org/there", {"README.md": b""})
    for token, repository in {"hf_reader": REPOSITORY, "hf_other": "org/there", "hf_unknown": REPOSITORY}.items():
        with server.client(tmp_path / "home", token):
            words = refuses(r"^the Hub refuses to write org/\w+ \(40[13]: .* Log in", publish, folder, repository)
        assert token not in words
    with server.client(tmp_path / "home"):
        refuses(r"^the Hub refuses to write org/network \(401: ", publish, folder, REPOSITORY)


# Revisions.


def test_a_new_revision_leaves_a_pinned_load_as_it_was(folder, server, api, tmp_path, prepared):
    first = publish(folder, REPOSITORY)
    second = publish(make_zoo(tmp_path / "new", seed=1), REPOSITORY)
    assert first.changed
    assert second.changed
    assert first.entry.commit != second.entry.commit
    assert [one.commit_id for one in api.list_repo_commits(REPOSITORY)][:2] == [
        second.entry.commit,
        first.entry.commit,
    ]
    for revision in (first.entry.commit, first.tag):
        assert_is_network(load(f"hub:{REPOSITORY}@{revision}"), seed=0)
    for revision in ("main", second.entry.commit, second.tag):
        assert_is_network(load(f"hub:{REPOSITORY}@{revision}"), seed=1)
    assert_is_network(load(f"hub:{REPOSITORY}@{first.entry.commit}", cache_dir=tmp_path / "empty"), seed=0)


def test_a_card_alone_is_a_commit_and_the_tag_stays_with_the_weights(folder, server, api):
    first = publish(folder, REPOSITORY)
    shutil.rmtree(folder.with_name(TWIN))
    second = publish(folder, REPOSITORY)
    assert first.changed
    assert second.changed
    assert first.tag == second.tag
    assert server.repositories[REPOSITORY].tags == {first.tag: first.entry.commit}
    assert "Its ResNet twin was not measured" in Path(api.hf_hub_download(REPOSITORY, "README.md")).read_text()
    assert len(server.calls("PUT")) == 1  # of the weights, once


def test_a_commit_of_somebody_else_in_between_is_not_overwritten(folder, server, api, prepared):
    server.publish(REPOSITORY, {"README.md": b"of somebody else"})
    made = []

    class Meanwhile(Fault):
        def strikes(self, request):  # of which the server asks before it reads the commit
            if "/commit/" in request and not made:
                made.append(server.publish(REPOSITORY, {"notes.md": b"in between"}))
            return False

    server.faults.append(Meanwhile("", "hang up"))
    refuses(r"^the Hub answered 412 while org/network was being written", publish, folder, REPOSITORY)
    assert server.repositories[REPOSITORY].branches["main"] == made[0]
    assert publish(folder, REPOSITORY).changed
    assert "notes.md" in api.list_repo_files(REPOSITORY)


# Private repositories.


def test_a_private_network_is_there_for_its_owner_only(folder, server, api, tmp_path, capsys, prepared):
    assert main(["publish", str(folder), "--repo", REPOSITORY, "--private", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert api.model_info(REPOSITORY).private
    for revision in ("", f"@{found['entry']['commit']}", f"@{found['tag']}"):
        source = f"hub:{REPOSITORY}{revision}"
        assert_is_network(load(source, token="hf_reader", cache_dir=tmp_path / "reader"))
        for token in (False, "hf_other"):
            sentence = "^there is no repository org/network on the Hub, or it is private and your token may not read it"
            refuses(sentence, load, source, token=token, cache_dir=tmp_path / "other")
    assert [one.id for one in api.list_models(token=False)] == []
    assert not (tmp_path / "other").exists()


def test_what_is_public_already_does_not_become_less_so_by_a_word(folder, server, api, prepared):
    commit = server.publish(REPOSITORY, {"README.md": b""})
    refuses("^org/network is there already, and public. Nothing", publish, folder, REPOSITORY, private=True)
    assert server.repositories[REPOSITORY].branches["main"] == commit
    assert not server.calls("PUT|POST .*/commit/")


# The index.


@pytest.fixture
def indexed(published, monkeypatch):
    """A function that puts the published network into the index of an installation without a zoo."""

    def put(**changes):
        entry = replace(ZooEntry(**json.loads(published.out.splitlines()[-1])), **changes)
        monkeypatch.setattr("eqmodels.hub.source.FOLDERS", ())
        for module in ("source", "load"):  # the package's `load` is a function
            monkeypatch.setattr(import_module(f"eqmodels.hub.{module}"), "read_index", lambda: {NAME: entry})
        return entry

    return put


def test_a_name_of_the_index_is_fetched_at_its_commit(published, indexed, tmp_path):
    entry = indexed()
    assert list_models(pretrained=True) == [NAME]
    before = len(published.server.requests)
    assert_is_network(create_model(NAME, pretrained=True, cache_dir=tmp_path))
    after = len(published.server.requests)
    fetched = {call.path for call in published.server.requests[before:] if "/storage/" not in call.path}
    assert fetched == {f"/{REPOSITORY}/resolve/{entry.commit}/{name}" for name in ("config.json", "model.safetensors")}
    # The cache has it now, also under the name of its architecture.
    assert create_model("c4_resnet18_w4", pretrained=True, cache_dir=tmp_path, num_classes=3).num_classes == 3
    assert len(published.server.requests) == after


def test_what_is_not_what_the_index_says_is_refused(published, indexed, tmp_path):
    for changes in ({"size": 5}, {"sha256": "0" * 64}):
        indexed(**changes)
        refuses("is not the file of the zoo's index: 56788 bytes instead of", create_model, NAME, pretrained=True)
    indexed(commit=None)
    refuses(f"^{NAME} is not on the Hub yet", load, NAME)
    indexed(commit="0" * 40)
    refuses("^org/network has no revision '0000000", load, NAME, cache_dir=tmp_path)
    indexed()
    assert_is_network(load(NAME, revision="main"))  # asked for, and so not that of the index


# The card.


@pytest.fixture(scope="module")
def card():
    return ModelCard(publication()["README.md"].decode())


def test_the_metadata_of_the_card_are_what_the_hub_reads(card):
    data, measured = card.data, json.loads(network()["results.json"])["evaluation"]
    assert {"eqmodels", "equivariant", "c4"} <= set(data.tags)
    assert (data.license, data.library_name, data.pipeline_tag) == ("mit", "eqmodels", "image-feature-extraction")
    assert (data.model_name, data.datasets) == (NAME, ["photos"])
    found = {result.metric_name: result.metric_value for result in data.eval_results}
    for kind in measured["features"]:
        for images, value in (("upright", kind["accuracy"]), ("turned", kind["turned"])):
            name = f"accuracy, {kind['features']} features, {images} images"
            assert found.pop(name, pytest.approx(value, abs=1e-4)) == pytest.approx(value, abs=1e-4)
    assert not found
    names = {result.metric_name for result in data.eval_results}
    for kind in ("canonical", "regular", "invariant-3"):
        assert {f"accuracy, {kind} features, {images} images" for images in ("upright", "turned")} <= names


def test_the_code_of_the_card_runs(card, published, monkeypatch):
    monkeypatch.chdir(published.place)
    (code,) = re.findall(r"```python\n(.*?)```", card.content, re.DOTALL)
    assert f'eqmodels.load("hub:{REPOSITORY}")' in code
    names: dict = {}
    exec(code, names)
    assert_is_network(names["encoder"])
    assert names["features"].shape == (2, int(re.search(r"# (\d+) features an image", code)[1]))
    for pooling in re.findall(r'global_pool="([\w+]+)"', card.content):
        assert_is_network(load(f"hub:{REPOSITORY}", global_pool=pooling, num_classes=0))


def test_the_card_names_the_error_of_every_element_and_the_figures_of_the_twin(card):
    own, other = (json.loads(network(name)["results.json"])["evaluation"] for name in (NAME, TWIN))
    assert list(own["equivariance_error"]) == ["90°", "180°", "270°"]
    for element, error in own["equivariance_error"].items():
        assert f"| {element} | {error:.1e} |" in card.content
        assert error < 1e-5
    for name, measured, kinds in ((NAME, own, ["canonical", "regular"]), (TWIN, other, ["regular", "orbit-mean"])):
        found = {kind["features"]: kind for kind in measured["features"]}
        for kind in kinds:
            upright, turned = (100 * found[kind][key] for key in ("accuracy", "turned"))
            row = rf"\| `{re.escape(name)}` \| {kind} \| 32 \| [\d,]+ \| {upright:.1f} \(.*\) \| {turned:.1f} \|"
            assert re.search(row, card.content)


def test_the_card_says_of_which_weights_it_is_and_shows_the_picture(card):
    assert sha256(network()["model.safetensors"]).hexdigest() in card.content
    assert "](turns.png)" in card.content
    picture = publication()["turns.png"]
    assert picture.startswith(b"\x89PNG")
    assert struct.unpack(">II", picture[16:24]) == (1200, 600)
    for word in ("Limits", "Training", "arXiv 2411.06508", "mit"):
        assert word.lower() in card.content.lower()


def test_the_card_of_the_twin_claims_nothing(folder):
    card = ModelCard(model_card(folder.with_name(TWIN), "org/twin"))
    assert "c1" in card.data.tags
    assert "exactly equivariant" not in card.content
    assert "nothing of it is equivariant" in card.content
    for element, error in json.loads(network(TWIN)["results.json"])["evaluation"]["equivariance_error"].items():
        assert f"| {element} | {error:.1e} |" in card.content


# What is not published.


def rewrite(file: Path, change) -> None:
    """Changes the JSON of a file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


UNFIT = {
    "without results": (
        lambda folder: (folder / "results.json").unlink(),
        "results.json holds no results .* Measure the network first: eqmodels evaluate",
    ),
    "with results of other weights": (
        lambda folder: (folder / "results.json").write_bytes(network(seed=1)["results.json"]),
        "results.json belongs to other weights: those of sha256 ",
    ),
    "with results of a twin's other weights": (
        lambda folder: (folder.with_name(TWIN) / "results.json").write_bytes(network()["results.json"]),
        f"{TWIN}/results.json belongs to other weights",
    ),
    "with results that are none": (
        lambda folder: (folder / "results.json").write_text("[" * 100_000),
        "results.json holds no results",
    ),
    "with results that lack something": (
        lambda folder: rewrite(folder / "results.json", lambda content: content["evaluation"].pop("tasks")),
        "results.json holds no results",
    ),
    "with results without a task": (
        lambda folder: rewrite(folder / "results.json", lambda content: content["evaluation"].update(tasks=[])),
        "^no card can be made of .* lack something",
    ),
    "without a license": (
        lambda folder: rewrite(folder / "config.json", lambda content: content["pretrained_cfg"].pop("license")),
        "does not say how the network was pretrained or under which license|contradicts itself",
    ),
    "without its data": (
        lambda folder: rewrite(folder / "config.json", lambda content: content["provenance"].pop("data")),
        "^no card can be made of .* lack something",
    ),
    "with other weights": (
        lambda folder: (folder / "model.safetensors").write_bytes(network(seed=1)["model.safetensors"]),
        "is not fit to be published: weights: .*is damaged or of another network: its sha256",
    ),
    "without weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "is not fit to be published: files: .* has no model.safetensors",
    ),
    "without a config": (
        lambda folder: (folder / "config.json").unlink(),
        "is not fit to be published: files: .* has no config.json",
    ),
}


def test_results_may_be_those_of_the_command_evaluate_and_the_recipe_is_made_of_the_config(tmp_path):
    folder = make_zoo(tmp_path)
    before = publication_files(folder, "org/net")
    rewrite(folder / "results.json", lambda content: content.update(content.pop("evaluation")))
    (folder / "recipe.json").unlink()
    after = publication_files(folder, "org/net")
    assert json.loads(after["recipe.json"]) == json.loads(before["recipe.json"])
    assert after["README.md"] == before["README.md"]


@pytest.mark.parametrize("fault", UNFIT)
def test_a_folder_that_is_not_fit_is_refused_before_the_hub_is_asked(folder, server, api, fault):
    spoil, sentence = UNFIT[fault]
    spoil(folder)
    refuses(sentence, publish, folder, REPOSITORY)
    assert server.requests == []
    assert server.repositories == {}


def test_an_encoder_without_its_pretraining_has_no_card(folder, server, api):
    load(folder, num_classes=2).save_pretrained(folder)
    digest = sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    rewrite(folder / "results.json", lambda content: content["evaluation"].update(sha256=digest))
    refuses("does not say how the network was pretrained", publish, folder, REPOSITORY)
    assert server.requests == []


@pytest.mark.parametrize(
    "name", ["network", "a/b/c", "org/..", "../network", "org/net work", "org/network\n", "", "o/" * 60]
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_a_name_that_the_hub_would_refuse_is_refused_first(folder, server, api, name, dry_run):
    sentence = "^a repository of the Hub is named organisation/name; got "
    refuses(sentence, publish, folder, name, dry_run=dry_run, error=ValueError)
    assert server.requests == []


# Encoders of one's own.


def test_a_fine_tuned_encoder_is_pushed_and_comes_back(folder, server, api, tmp_path):
    encoder = load(folder, num_classes=3, in_chans=2, global_pool="canonical-soft")
    with torch.no_grad():
        encoder.fc.bias.fill_(0.5)
        encoder.layer1[0].conv1.weight += 0.01
    encoder.push_to_hub("org/tuned", private=True, commit_message="tuned")
    commit = server.repositories["org/tuned"].branches["main"]
    again = [
        load("hub:org/tuned"),
        Encoder.from_pretrained("org/tuned"),
        SteerableResNet.from_pretrained("org/tuned", revision=commit, token="hf_reader", cache_dir=tmp_path / "other"),
    ]
    for found in again:
        assert torch.equal(features(found), features(encoder))
        assert found.preprocessing == encoder.preprocessing
        assert (found.num_classes, found.in_chans, found.global_pool.mode) == (3, 2, "canonical-soft")
    tags = api.model_info("org/tuned").tags
    assert {"eqmodels", "equivariant", "c4"} <= set(tags)
    assert Encoder.from_pretrained("org/tuned", num_classes=5).num_classes == 5
    words = "or it is private and your token may not read it"
    refuses(words, Encoder.from_pretrained, "org/tuned", token=False, cache_dir=tmp_path / "none")
    refuses("holds an encoder without the run that pretrained it", load_pretrained, "hub:org/tuned")
