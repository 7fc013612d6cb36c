"""The cluster's own pure logic: what it decides and which command lines it makes, with nothing run."""

import json
import subprocess
import sys
import tarfile

import pytest

from cluster.node import __main__ as command_line
from cluster.node import (
    archive,
    base,
    certificates,
    compiling,
    components,
    images,
    kind,
    network,
    packages,
    page,
    processes,
    volumes,
)
from cluster.node.inside import choose_snapshotter
from cluster.node.layout import CHECKOUT, Layout
from cluster.node.progress import Failure, output_of, printed_by, run, seconds, tail, tell_failure, wait_for


def test_version_flags_stamp_both_packages():
    flags = compiling.version_flags("v1.35.4")
    assert flags.startswith("-s -w -X ")
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        for value in ("gitVersion=v1.35.4", "gitMajor=1", "gitMinor=35"):
            assert f"-X {package}.{value}" in flags


def test_version_flags_refuse_what_is_no_version():
    with pytest.raises(ValueError, match="not a Kubernetes version"):
        compiling.version_flags("latest")


def test_module_version_is_read_from_a_block_or_a_line():
    assert compiling.module_version("require (\n\tk8s.io/kubernetes v1.35.4\n)", "k8s.io/kubernetes") == "v1.35.4"
    assert compiling.module_version("require k8s.io/kubernetes v1.2.3\n", "k8s.io/kubernetes") == "v1.2.3"
    with pytest.raises(ValueError, match="does not require"):
        compiling.module_version("replace k8s.io/kubernetes => x v1.2.3\n", "k8s.io/kubernetes")


def test_the_checkouts_own_version_is_a_version():
    compiling.version_flags(compiling.kubernetes_version())


def test_fingerprint_tells_where_one_part_ends():
    assert compiling.fingerprint(b"ab", b"c") != compiling.fingerprint(b"a", b"bc")
    assert compiling.fingerprint(b"ab", b"c") == compiling.fingerprint(b"ab", b"c")


def test_programs_count_as_compiled_only_with_their_stamp(tmp_path):
    layout = Layout(tmp_path)
    layout.binaries.mkdir()
    assert not compiling.is_compiled(layout, "now", ("kubectl",))
    (layout.binaries / "kubectl").touch()
    assert not compiling.is_compiled(layout, "now", ("kubectl",)), "an interrupted run leaves no stamp"
    (layout.binaries / "stamp").write_text("now")
    assert compiling.is_compiled(layout, "now", ("kubectl",))
    assert not compiling.is_compiled(layout, "later", ("kubectl",))
    assert not compiling.is_compiled(layout, "now", ("kubectl", "helm"))


def test_compile_progress_counts_downloads_and_packages(tmp_path):
    log = tmp_path / "log"
    log.write_text("go: downloading a v1\ngo: downloading b v1\ninternal/abi\n")
    assert compiling.compiled_so_far(log) == "2 modules downloaded, 1 packages compiled"


NODE = ["python3", "-m", "cluster.node", "inside", "/a/.cluster"]


def test_the_first_process_is_told_from_the_unshare_around_it():
    first = processes.parse_process(7, NODE)
    outer = processes.parse_process(6, ["unshare", "--net", *NODE])
    assert first is not None
    assert outer is not None
    assert (first.is_first, outer.is_first) == (True, False)
    assert str(first.directory) == "/a/.cluster"


@pytest.mark.parametrize("arguments", [[], ["vim", "inside"], ["python3", "-m", "cluster.node", "up"], [*NODE, "x"]])
def test_other_processes_are_not_taken_for_a_node(arguments):
    assert processes.parse_process(1, arguments) is None


def test_another_checkouts_cluster_is_named_with_the_way_to_end_it(tmp_path):
    process = processes.parse_process(7, NODE)
    assert process is not None
    processes.refuse_other_checkout([process], process.directory)
    with pytest.raises(Failure, match=r"another checkout is up: /a \(end it with: make -C /a down\)"):
        processes.refuse_other_checkout([process], tmp_path)


def test_an_address_in_our_range_is_found_but_our_own_link_is_not():
    def interface(name, address):
        return {"ifname": name, "addr_info": [{"local": address}]}

    others = [interface("lo", "127.0.0.1"), interface(network.HOST_LINK, "172.31.254.1"), {"ifname": "eth1"}]
    assert network.interface_in(others, network.LINK_NETWORK) is None
    assert network.interface_in([*others, interface("br0", "172.31.254.2")], network.LINK_NETWORK) == "br0"


def test_mounts_are_found_deepest_first_and_only_below(tmp_path):
    lines = ["/a", "/a/state", "/a/state/run", "/a/state\\040two", "/a/statement"]
    mounts = "\n".join(f"x {line} tmpfs rw 0 0" for line in lines)
    assert network.mounts_below(tmp_path / "none", mounts) == []
    assert network.mounts_below(type(tmp_path)("/a/state"), mounts) == ["/a/state/run", "/a/state"]


def test_a_cgroup_is_removed_from_its_leaves_up(tmp_path):
    top = tmp_path / "podgraph"
    (top / "kubepods" / "pod1").mkdir(parents=True)
    assert network.remove_cgroup(top)
    assert not top.exists()
    assert network.remove_cgroup(top), "nothing left is as good as removed"


def test_a_missing_program_is_asked_of_its_package_once(tmp_path):
    there = tmp_path / "there"
    there.touch()
    programs = {str(there): "one", str(tmp_path / "a"): "two", str(tmp_path / "b"): "two"}
    assert packages.missing_packages(programs) == ["two"]


def test_missing_tools_are_one_line_each(monkeypatch):
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)
    with pytest.raises(Failure, match="needs root"):
        packages.require_root()
    monkeypatch.setattr(packages.shutil, "which", lambda _: None)
    with pytest.raises(Failure, match="go is not on PATH"):
        packages.require_go()
    with pytest.raises(Failure, match="missing runc, and there is no apt-get"):
        packages.apt_install(["runc"])


def test_settings_files_are_well_formed():
    kubelet = json.loads(components.kubelet_settings())
    assert kubelet["cgroupRoot"] == "/podgraph"
    assert kubelet["failCgroupV1"] is False
    plugins = json.loads(components.pod_network_settings())["plugins"]
    assert [plugin["type"] for plugin in plugins] == ["bridge", "portmap"]
    assert 'snapshotter = "native"' in components.containerd_settings(choose_snapshotter(True), "/usr/lib/cni")
    assert 'snapshotter = "overlayfs"' in components.containerd_settings(choose_snapshotter(False), "/usr/lib/cni")


def test_no_component_is_given_a_path_of_the_host():
    for component in {**components.BEFORE_API, **components.AFTER_API}.values():
        assert not [argument for argument in component() if str(CHECKOUT) in argument]


def test_certificates_carry_what_strict_clients_ask_for():
    lines = certificates.extensions("serverAuth", ("kubernetes",), ("10.96.0.1",)).splitlines()
    assert "authorityKeyIdentifier=keyid" in lines
    assert "subjectAltName=DNS:kubernetes,IP:10.96.0.1" in lines


def test_kind_is_used_only_when_asked_for():
    assert kind.is_wanted({"CLUSTER": "kind"})
    assert not kind.is_wanted({})
    assert not kind.is_wanted({"CLUSTER": "node"})
    with pytest.raises(Failure, match="CLUSTER=minikube is not known"):
        kind.is_wanted({"CLUSTER": "minikube"})


def test_up_never_starts_a_second_cluster_beside_the_first():
    assert kind.is_chosen("up", wanted=True, is_up=True, node_is_up=False)
    assert not kind.is_chosen("up", wanted=False, is_up=False, node_is_up=True)
    with pytest.raises(Failure, match="node is up"):
        kind.is_chosen("up", wanted=True, is_up=False, node_is_up=True)
    with pytest.raises(Failure, match="kind cluster is up"):
        kind.is_chosen("up", wanted=False, is_up=True, node_is_up=False)


@pytest.mark.parametrize(
    ("wanted", "is_up", "node_is_up", "chosen"),
    [(False, True, False, True), (True, False, False, True), (True, False, True, False), (False, False, False, False)],
)
def test_down_ends_what_is_up(wanted, is_up, node_is_up, chosen):
    assert kind.is_chosen("down", wanted, is_up, node_is_up) is chosen


def test_kind_without_an_engine_is_one_line(monkeypatch):
    monkeypatch.setattr(kind, "docker_answers", lambda: False)
    with pytest.raises(Failure, match="needs a Docker engine, and none answers"):
        kind.up()


def test_kind_command_lines(tmp_path):
    kubeconfig = tmp_path / "kubeconfig"
    assert kind.create_command("kind", kubeconfig) == [
        "kind", "create", "cluster", "--name=podgraph", f"--kubeconfig={kubeconfig}", "--wait=180s",
    ]  # fmt: skip
    assert kind.load_command("kind", tmp_path / "a.tar")[:4] == ["kind", "load", "image-archive", "--name=podgraph"]
    assert kind.delete_command("kind", kubeconfig)[1:3] == ["delete", "cluster"]
    assert kind.export_command("kind", kubeconfig)[1:3] == ["export", "kubeconfig"]


def test_a_kubeconfig_of_kind_is_recognised(tmp_path):
    layout = Layout(tmp_path)
    assert not kind.is_ours(layout)
    layout.kubeconfig.write_text(certificates.kubeconfig(b"ca", b"crt", b"key"))
    assert not kind.is_ours(layout)
    layout.kubeconfig.write_text("apiVersion: v1\ncurrent-context: kind-podgraph\n")
    assert kind.is_ours(layout)


def test_images_are_loaded_only_into_a_cluster_of_ours():
    images.check_target(True, False, {})
    images.check_target(False, True, {"KUBECONFIG": "/x"})
    with pytest.raises(Failure, match="push or load podgraph/step:dev and podgraph/operator:dev"):
        images.check_target(False, False, {"KUBECONFIG": "/x"})
    with pytest.raises(Failure, match="run `make up` first"):
        images.check_target(False, False, {})


def test_an_image_is_built_anew_when_a_source_file_changes_or_moves(tmp_path):
    image = images.Image("podgraph/x:dev", "Dockerfile", ("code",))
    (tmp_path / "code").mkdir()
    (tmp_path / "Dockerfile").write_text("FROM x")
    (tmp_path / "code" / "a.py").write_text("1")
    first = images.source_stamp(tmp_path, image, "docker")
    (tmp_path / "code" / "__pycache__").mkdir()
    (tmp_path / "code" / "__pycache__" / "a.pyc").write_text("1")
    assert images.source_stamp(tmp_path, image, "docker") == first
    assert images.source_stamp(tmp_path, image, "buildah base") != first
    (tmp_path / "code" / "a.py").rename(tmp_path / "code" / "b.py")
    moved = images.source_stamp(tmp_path, image, "docker")
    assert moved != first
    (tmp_path / "code" / "b.py").write_text("2")
    assert images.source_stamp(tmp_path, image, "docker") not in (first, moved)


def test_the_machines_way_to_pypi_is_lent_as_mounts(tmp_path):
    authority = tmp_path / "ca.crt"
    authority.touch()
    environment = {"SSL_CERT_FILE": str(authority), "PIP_INDEX_URL": "https://index.example/simple"}
    mounts = images.machine_settings(tmp_path, environment)
    assert f"--volume={authority}:{images.CERTIFICATES}:ro" in mounts
    assert "index-url = https://index.example/simple" in (tmp_path / "pip.conf").read_text()
    assert 'url = "https://index.example/simple"' in (tmp_path / "uv" / "uv.toml").read_text()
    assert "index" not in images.pip_settings(None) + images.uv_settings(None)


def test_the_base_image_comes_from_the_mirror_of_this_machine():
    new = "Types: deb\nURIs: https://mirror.example/debian\nSuites: bookworm\n"
    old = "# deb http://commented.example/debian x main\ndeb [arch=amd64] http://old.example/debian/ bookworm main\n"
    other = "deb https://packages.example/apt sdk main\nURIs: http://mirror.example/debian-security\n"
    assert base.debian_mirror([other, new]) == "https://mirror.example/debian"
    assert base.debian_mirror([old]) == "http://old.example/debian/"
    assert base.debian_mirror([other]) is None
    assert base.base_command(CHECKOUT, "https://mirror.example/debian", [])[-1] == "https://mirror.example/debian"
    assert base.base_command(CHECKOUT, None, [])[-2:] == ["trixie", str(CHECKOUT)]


def test_only_proxy_and_certificate_settings_of_apt_are_passed_on():
    settings = 'Acquire::http::Proxy "http://proxy:1";\nAcquire::Retries "3";\nAPT::Get::X "y";\n'
    assert base.apt_options(settings) == ['--aptopt=Acquire::http::Proxy "http://proxy:1";']


def test_an_archive_carries_its_name_and_its_layer(tmp_path):
    layer = tmp_path / "layer.tar"
    with tarfile.open(layer, "w") as tar:
        archive.add_file(tar, "bin/x", b"x", 0o755)
    target = tmp_path / "image.tar"
    archive.write_archive(target, "docker.io/library/x:1", layer, ["x"])
    with tarfile.open(target) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]
        configuration = json.load(tar.extractfile(manifest["Config"]))
        assert tar.extractfile("layer.tar").read() == layer.read_bytes()
    assert manifest["RepoTags"] == ["docker.io/library/x:1"]
    assert len(configuration["history"]) == len(configuration["rootfs"]["diff_ids"]) == 1


def test_a_wait_ends_and_says_what_it_waited_for(tmp_path):
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(20)))
    with pytest.raises(Failure, match="waited 0 s for the moon, in vain") as caught:
        wait_for("the moon", lambda: False, 0, log)
    assert caught.value.log_tail == [f"line {number}" for number in range(12, 20)]


def test_a_long_command_has_a_limit_and_its_log_is_shown(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(Failure, match="sleeping took more than 0 s and was stopped"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], "sleeping", log=log, limit=0)
    with pytest.raises(Failure, match="failing failed with status 3") as caught:
        run([sys.executable, "-c", "print('why'); exit(3)"], "failing", log=log, limit=30)
    assert caught.value.log_tail == ["why"]
    with pytest.raises(Failure, match="no-such-program is not installed"):
        run(["no-such-program"], "running", log=log, limit=30)


def test_a_short_commands_failure_is_its_own_last_line():
    with pytest.raises(Failure, match="the reason"):
        output_of([sys.executable, "-c", "import sys; sys.exit('first\\nthe reason')"])
    with pytest.raises(Failure, match="no-such-program is not installed"):
        output_of(["no-such-program"])
    assert printed_by(["no-such-program"]) is None


def test_errors_are_one_line_and_the_tail_of_the_log(tmp_path, capsys):
    log = tmp_path / "log"
    log.write_text("a\nb\n")
    tell_failure(Failure("it broke", log))
    assert capsys.readouterr().err == "error: it broke\n  | a\n  | b\n"
    assert tail(tmp_path / "none") == []


def test_durations_read_well():
    assert (seconds(0.04), seconds(9.94), seconds(412.3)) == ("0.0 s", "9.9 s", "412 s")


@pytest.mark.parametrize("arguments", [[], ["start"], ["up", "now"], ["load"]])
def test_wrong_usage_is_told(arguments, capsys):
    assert command_line.main(arguments) == 2
    assert capsys.readouterr().err.startswith("usage: ")


def test_a_foreseeable_problem_is_no_traceback(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command_line, "HOST", Layout(tmp_path / ".cluster"))
    monkeypatch.setenv("CLUSTER", "minikube")
    assert command_line.main(["up"]) == 1
    assert capsys.readouterr().err == "error: CLUSTER=minikube is not known: leave it unset, or set it to kind\n"


def test_the_lock_is_taken_once(tmp_path):
    with command_line.one_at_a_time(tmp_path):
        script = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'w'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        taken = subprocess.run([sys.executable, "-c", script, str(tmp_path / "lock")], capture_output=True)
    assert b"BlockingIOError" in taken.stderr


def test_the_page_is_built_where_node_is_new_enough(monkeypatch):
    monkeypatch.setattr(page, "is_present", lambda program: True)
    for version, told in {"v18.19.0": "node is v18.19.0", "v20.19.2": "", "v24.1.0": ""}.items():
        monkeypatch.setattr(page, "output_of", lambda command, version=version: f"{version}\n")
        assert page.trouble().startswith(told)
        assert bool(page.trouble()) == bool(told)
    monkeypatch.setattr(page, "is_present", lambda program: program != "npm")
    assert "there is no npm" in page.trouble()


def test_the_page_is_built_anew_when_a_source_changed(tmp_path):
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "a.ts").write_text("1")
    first = page.source_stamp(tmp_path)
    (tmp_path / "node_modules" / "b.js").write_text("2")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.test.ts").write_text("3")
    assert page.source_stamp(tmp_path) == first
    (tmp_path / "a.ts").write_text("2")
    assert page.source_stamp(tmp_path) != first


def test_claims_that_name_no_class_find_a_volume_that_is_cleared_after_use():
    default, *found = volumes.manifests()
    assert default["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert {volume["spec"]["storageClassName"] for volume in found} == {default["metadata"]["name"]}
    assert len({volume["spec"]["hostPath"]["path"] for volume in found}) == len(found) == volumes.VOLUMES
    assert volumes.recycler()["spec"]["volumes"][0]["name"] == "vol", "what the controller manager puts the volume into"
    flag = "--pv-recycler-pod-template-filepath-hostpath="
    assert [word for word in components.controller_manager() if word.startswith(flag)]
