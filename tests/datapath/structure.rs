//! What the loaded programs are made of: no helper call before a packet is special, and no more instructions than
//! the verifier of an old kernel bears.
use crate::hook::with_hook;
use mtuprobe_tests::test_run::{self, Instruction};
use std::collections::HashSet;

/// Instructions of a program with all its subprograms, as the kernel translated it.
const MOST_TRANSLATED: usize = 8_000;
/// Instructions that the verifier may follow: a fifth of its limit.
const MOST_VERIFIED: u32 = 200_000;

/// Every instruction that the main program can reach without entering a subprogram.
fn reachable(program: &[Instruction]) -> Vec<Instruction> {
    let mut seen = HashSet::new();
    let mut next = vec![0_usize];
    while let Some(at) = next.pop() {
        if at >= program.len() || !seen.insert(at) {
            continue;
        }
        let instruction = program[at];
        let target = |offset: i32| (at as i64 + 1 + i64::from(offset)) as usize;
        match (instruction.code & 7, instruction.code >> 4) {
            // exit
            (5, 9) => {}
            // goto, and goto with a long offset
            (5, 0) => next.push(target(instruction.offset.into())),
            (6, 0) => next.push(target(instruction.immediate)),
            // call
            (5 | 6, 8) => next.push(at + 1),
            // conditional jumps
            (5 | 6, _) => next.extend([at + 1, target(instruction.offset.into())]),
            // a load of 64 bits takes two
            (0, _) if instruction.code == 0x18 => next.push(at + 2),
            _ => next.push(at + 1),
        }
    }
    seen.into_iter().map(|at| program[at]).collect()
}

#[test]
fn an_ordinary_packet_meets_no_helper_call() {
    with_hook(false, |hook| {
        for direction in 0..2 {
            for has_ethernet in [true, false] {
                let program = hook.datapath.classifier(direction, has_ethernet).unwrap();
                let program = test_run::translated(program.fd().unwrap()).unwrap();
                let reached = reachable(&program);
                let helpers = reached.iter().filter(|instruction| instruction.is_helper_call()).count();
                // Kernels before 6.10 do not inline the look-up of a per-CPU array: the counters, and those of skips.
                let allowed = if inlines_per_cpu_arrays(&program) { 0 } else { 4 };
                assert!(helpers <= allowed, "{helpers} helper calls, direction {direction}, {has_ethernet}");
                let subprograms =
                    reached.iter().filter(|instruction| instruction.is_subprogram_call()).count();
                assert!(subprograms >= 3, "special packets and slow ones have subprograms: {subprograms}");
            }
        }
    });
}

/// Since 6.10 the look-up becomes a load of this CPU's address (`BPF_ALU64 | BPF_MOV` with `BPF_ADDR_PERCPU` as offset).
fn inlines_per_cpu_arrays(program: &[Instruction]) -> bool {
    program.iter().any(|instruction| instruction.code == 0xbf && instruction.offset == -1)
}

#[test]
fn programs_stay_small() {
    with_hook(false, |hook| {
        for direction in 0..2 {
            for has_ethernet in [true, false] {
                let program = hook.datapath.classifier(direction, has_ethernet).unwrap();
                let program = program.fd().unwrap();
                let translated = test_run::translated(program).unwrap().len();
                let verified = test_run::verified(program).unwrap();
                println!(
                    "direction {direction} ethernet {has_ethernet}: {translated} instructions, {verified} verified"
                );
                assert!(translated <= MOST_TRANSLATED, "{translated} instructions");
                assert!(verified <= MOST_VERIFIED, "{verified} instructions verified");
            }
        }
    });
}
