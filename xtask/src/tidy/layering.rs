//! Rules about who may name what.

use std::path::Path;

use super::{Violation, files::File, source};

/// Names that only some part of the source may use.
struct Boundary {
    rule: &'static str,
    /// Where the rule holds.
    within: &'static [&'static str],
    /// Files and directories below that are excepted.
    except: &'static [&'static str],
    /// Paths, or beginnings of paths.
    forbidden: &'static [&'static str],
    why: &'static str,
}

const BOUNDARIES: [Boundary; 4] = [
    Boundary {
        rule: "only datapath names aya",
        within: &["probe-user/src", "probe-core/src"],
        except: &["probe-user/src/datapath.rs", "probe-user/src/datapath"],
        forbidden: &["aya", "aya_log", "aya_obj"],
        why: "the loader can be replaced, and everything else tested without a kernel",
    },
    Boundary {
        rule: "only datapath and decode name probe-common",
        within: &["probe-user/src", "probe-core/src"],
        except: &[
            "probe-user/src/datapath.rs",
            "probe-user/src/datapath",
            "probe-core/src/decode.rs",
            "probe-core/src/decode",
        ],
        forbidden: &["probe_common"],
        why: "the layout of the kernel's records may change without touching what is decided from them",
    },
    Boundary {
        rule: "probe-core is pure",
        within: &["probe-core/src"],
        except: &[],
        forbidden: &[
            "std::env",
            "std::fs",
            "std::io",
            "std::net::TcpListener",
            "std::net::TcpStream",
            "std::net::ToSocketAddrs",
            "std::net::UdpSocket",
            "std::os",
            "std::process",
            "std::thread",
            "std::time::Instant::now",
            "std::time::SystemTime::now",
            "Instant::now",
            "SystemTime::now",
            "libc",
            "serde",
            "serde_json",
            "tokio",
        ],
        why: "values and a time go in, values come out: that is what makes a diagnosis testable and replayable",
    },
    Boundary {
        rule: "the probe never changes a packet or its verdict",
        within: &["probe-ebpf/src"],
        except: &[],
        forbidden: &[
            "TC_ACT_OK",
            "TC_ACT_REDIRECT",
            "TC_ACT_SHOT",
            "TC_ACT_STOLEN",
            "TCX_DROP",
            "TCX_PASS",
            "TCX_REDIRECT",
            "bpf_clone_redirect",
            "bpf_l3_csum_replace",
            "bpf_l4_csum_replace",
            "bpf_probe_write_user",
            "bpf_redirect",
            "bpf_redirect_neigh",
            "bpf_redirect_peer",
            "bpf_skb_adjust_room",
            "bpf_skb_change_head",
            "bpf_skb_change_proto",
            "bpf_skb_change_tail",
            "bpf_skb_change_type",
            "bpf_skb_pull_data",
            "bpf_skb_set_tunnel_key",
            "bpf_skb_store_bytes",
            "bpf_skb_vlan_pop",
            "bpf_skb_vlan_push",
            "adjust_room",
            "change_proto",
            "change_tail",
            "change_type",
            "clone_redirect",
            "pull_data",
        ],
        why: "it observes other people's traffic; every program returns \"go on\" with the packet as it came",
    },
];

pub fn check(files: &[File]) -> Vec<Violation> {
    let mut violations: Vec<Violation> = files
        .iter()
        .flat_map(|file| BOUNDARIES.iter().flat_map(|boundary| crossings(boundary, file)))
        .collect();
    violations.extend(files.iter().filter_map(unsafe_not_forbidden));
    violations
}

fn crossings(boundary: &Boundary, file: &File) -> Vec<Violation> {
    let inside = |places: &[&str]| places.iter().any(|place| file.path.starts_with(place));
    if !inside(boundary.within) || inside(boundary.except) {
        return Vec::new();
    }
    // std, core and alloc are the same thing by another name.
    let canonical = |path: &str| match path.split_once("::") {
        Some(("core" | "alloc", rest)) => format!("std::{rest}"),
        _ => path.trim_start_matches("::").to_owned(),
    };
    source::paths(&file.code)
        .into_iter()
        .filter(|(_, path)| {
            let path = canonical(path);
            boundary.forbidden.iter().any(|name| {
                path == *name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with("::"))
                    // A function or constant by its bare name, however its module is called.
                    || (!name.contains("::") && name.contains('_') && path.ends_with(&format!("::{name}")))
            })
        })
        .map(|(line, path)| Violation {
            file: file.path.clone(),
            line,
            rule: boundary.rule,
            what: format!("names {path}"),
            why: boundary.why,
        })
        .collect()
}

fn unsafe_not_forbidden(file: &File) -> Option<Violation> {
    let is_root = file.path == Path::new("probe-core/src/lib.rs");
    (is_root && !file.code.contains("#![forbid(unsafe_code)]")).then(|| Violation {
        file: file.path.clone(),
        line: 0,
        rule: "probe-core is pure",
        what: "lacks #![forbid(unsafe_code)]".to_owned(),
        why: "decoding bytes from the kernel must not be able to break memory",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules_broken(path: &str, text: &str) -> Vec<(usize, &'static str)> {
        check(&[File::new(path, text.to_owned())]).into_iter().map(|found| (found.line, found.rule)).collect()
    }

    #[test]
    fn keeps_aya_in_datapath() {
        let text = "//! aya here\nuse aya::Ebpf;\n";
        assert_eq!(rules_broken("probe-user/src/run.rs", text), [(2, "only datapath names aya")]);
        assert_eq!(rules_broken("probe-user/src/datapath/load.rs", text), []);
        assert_eq!(rules_broken("probe-user/src/datapath.rs", text), []);
    }

    #[test]
    fn keeps_probe_common_in_datapath_and_decode() {
        let text = "fn f(x: probe_common::Record) {}\n";
        let rule = "only datapath and decode name probe-common";
        assert_eq!(rules_broken("probe-core/src/model/event.rs", text), [(1, rule)]);
        assert_eq!(rules_broken("probe-core/src/decode/drop.rs", text), []);
    }

    #[test]
    fn keeps_clocks_and_files_out_of_probe_core() {
        let text =
            "use std::{net::IpAddr, time::Instant};\nuse std::{fs, io::Read};\nfn f() { Instant::now(); }\n";
        let lines: Vec<usize> =
            rules_broken("probe-core/src/diagnose.rs", text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [2, 2, 3]);
        let in_test = "#[cfg(test)]\nmod tests { fn t() { std::fs::read(\"x\"); } }\n";
        assert_eq!(rules_broken("probe-core/src/diagnose.rs", in_test), []);
    }

    #[test]
    fn keeps_the_kernel_side_from_touching_packets() {
        let text = "use aya_ebpf::{bindings::TC_ACT_SHOT, helpers::r#gen::bpf_skb_store_bytes};\n";
        assert_eq!(rules_broken("probe-ebpf/src/oversize.rs", text).len(), 2);
        assert_eq!(
            rules_broken("probe-ebpf/src/oversize.rs", "use aya_ebpf::bindings::TC_ACT_UNSPEC;\n"),
            []
        );
    }

    #[test]
    fn wants_unsafe_forbidden_in_probe_core() {
        assert_eq!(rules_broken("probe-core/src/lib.rs", "pub mod model;\n").len(), 1);
        assert_eq!(rules_broken("probe-core/src/lib.rs", "#![forbid(unsafe_code)]\n"), []);
    }
}
