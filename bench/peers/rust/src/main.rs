// SPDX-License-Identifier: MIT
// What Rust's usual crates take for single parts of the work: encoding_rs (with its fast tables) for GBK, csv for reading. Prints the CPU
// seconds of one repetition, as bench/parts.lua does.
//
//   rustpeer encode FILE | decode FILE | csv FILE

use encoding_rs::{DecoderResult, EncoderResult, GBK};
use std::{env, fs};

// Pieces of about 64 KiB, cut behind a row, or where none ends between two Hanzi: those of bench/parts.lua.
fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let mut end = (at + 65532).min(bytes.len());
        if end < bytes.len() {
            if let Some(row) = bytes[at..end].iter().rposition(|&byte| byte == b'\n') {
                end = at + row + 1;
            }
        }
        found.push(&bytes[at..end]);
        at = end;
    }
    found
}

extern "C" {
    fn clock() -> std::os::raw::c_long; // CPU time in microseconds
}

fn cpu_seconds() -> f64 {
    unsafe { clock() as f64 * 1e-6 }
}

fn clocked(mut work: impl FnMut()) {
    work();
    let (began, mut rounds) = (cpu_seconds(), 0);
    while cpu_seconds() - began < 0.5 {
        work();
        rounds += 1;
    }
    println!("{:.9}", (cpu_seconds() - began) / f64::from(rounds));
}

fn encode(bytes: &[u8]) {
    let texts: Vec<&str> = pieces(bytes).into_iter().map(|piece| std::str::from_utf8(piece).expect("UTF-8")).collect();
    let mut out = vec![0u8; 3 * 65536];
    clocked(|| {
        for text in &texts {
            let (result, _, written) = GBK.new_encoder().encode_from_utf8_without_replacement(text, &mut out, true);
            assert!(matches!(result, EncoderResult::InputEmpty) && written > 0);
        }
    });
}

fn decode(bytes: &[u8]) {
    let texts = pieces(bytes);
    let mut out = vec![0u8; 3 * 65536];
    clocked(|| {
        for text in &texts {
            let (result, _, written) = GBK.new_decoder().decode_to_utf8_without_replacement(text, &mut out, true);
            assert!(matches!(result, DecoderResult::InputEmpty) && written > 0);
        }
    });
}

// Every field of every record is looked at; its text must be UTF-8, as campaign asks for it.
fn read_csv(path: &str) {
    clocked(|| {
        let mut reader = csv::ReaderBuilder::new().buffer_capacity(256 << 10).from_path(path).expect("the file");
        let (mut record, mut bytes) = (csv::StringRecord::new(), 0);
        while reader.read_record(&mut record).expect("a record") {
            bytes += record.iter().map(str::len).sum::<usize>();
        }
        assert!(bytes > 0);
    });
}

fn main() {
    let words: Vec<String> = env::args().collect();
    match (words.get(1).map(String::as_str), words.get(2)) {
        (Some("encode"), Some(path)) => encode(&fs::read(path).expect("the file")),
        (Some("decode"), Some(path)) => decode(&fs::read(path).expect("the file")),
        (Some("csv"), Some(path)) => read_csv(path),
        _ => {
            eprintln!("usage: rustpeer encode|decode|csv FILE");
            std::process::exit(2);
        }
    }
}
