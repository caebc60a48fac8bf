//! The vDSO as an ELF image: finds its time functions and makes the copy whose symbols lead to our code.
//!
//! No instruction of the vDSO is changed or even executed from the copy: its functions find the kernel's data
//! relative to themselves, so every symbol of the copy is given a value that leads out of it, either to our
//! code or to the original function. C libraries and Go add the image's address to a symbol's value modulo
//! 2^64, so values may lead anywhere.

use super::stub::{self, Literals};

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const DT_HASH: u64 = 4;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const STT_FUNC: u8 = 2;
const PROGRAM_HEADER_BYTES: usize = 56;
const SYMBOL_BYTES: usize = 24;
const DYNAMIC_BYTES: usize = 16;

/// What is wrong with a vDSO.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadVdso {
    #[error("the vDSO is not a 64-bit ELF image of a known shape ({0})")]
    Malformed(&'static str),
    #[error("the vDSO has no {0}")]
    NoFunction(&'static str),
    #[error("the vDSO contains no system call instruction")]
    NoSyscall,
}

/// A function of the image.
#[derive(Debug)]
struct Function {
    name: String,
    /// Where its symbol's value stands in the image.
    value_at: usize,
    value: u64,
}

/// The vDSO of a process, read out of its memory.
#[derive(Debug)]
pub(super) struct Vdso {
    image: Vec<u8>,
    address: u64,
    /// What its addresses count from: subtracting it from a symbol's value gives an offset in the image.
    bias: u64,
    functions: Vec<Function>,
}

impl Vdso {
    /// How long an image is, told from its first page.
    pub fn length(head: &[u8]) -> Result<usize, BadVdso> {
        let load = load_segment(head)?;
        let length = load.offset + load.bytes;
        if length > 1 << 20 { Err(BadVdso::Malformed("size")) } else { Ok(length.next_multiple_of(4096)) }
    }

    /// Takes an image apart that is mapped at `address`.
    pub fn parse(image: Vec<u8>, address: u64) -> Result<Self, BadVdso> {
        let load = load_segment(&image)?;
        let bias = load.virtual_address - load.offset as u64;
        let functions = functions(&image, bias)?;
        Ok(Vdso { image, address, bias, functions })
    }

    /// The address of a system call instruction. Any two such bytes will do: the whole image is executable.
    pub fn syscall_instruction(&self) -> Result<u64, BadVdso> {
        let at = self.image.windows(2).position(|bytes| bytes == [0x0f, 0x05]);
        at.map(|at| self.address + at as u64).ok_or(BadVdso::NoSyscall)
    }

    /// Bytes that [`Vdso::skewed`] will have.
    pub fn skewed_length(&self) -> usize {
        self.image.len() + stub::CODE.len()
    }

    /// The copy for a process that will have it at `at` and the clock page at `page`: the image, then our code.
    pub fn skewed(&self, at: u64, page: u64) -> Result<Vec<u8>, BadVdso> {
        let literals = Literals {
            real_clock_gettime: self.real("clock_gettime")?,
            real_gettimeofday: self.real("gettimeofday")?,
            page,
        };
        self.real("time")?;
        let code = at + self.image.len() as u64;
        let mut copy = self.image.clone();
        for function in &self.functions {
            let leads_to = match replacement(&function.name) {
                Some(offset) => code + offset,
                None => self.address.wrapping_add(function.value).wrapping_sub(self.bias),
            };
            let value = leads_to.wrapping_sub(at).wrapping_add(self.bias);
            copy[function.value_at..function.value_at + 8].copy_from_slice(&value.to_le_bytes());
        }
        copy.extend(stub::code(literals));
        Ok(copy)
    }

    /// The address of an original function.
    fn real(&self, name: &'static str) -> Result<u64, BadVdso> {
        let function = self.functions.iter().find(|function| plain(&function.name) == name);
        let function = function.ok_or(BadVdso::NoFunction(name))?;
        Ok(self.address.wrapping_add(function.value).wrapping_sub(self.bias))
    }
}

/// Each function has two names, with and without this prefix.
fn plain(name: &str) -> &str {
    name.strip_prefix("__vdso_").unwrap_or(name)
}

fn replacement(name: &str) -> Option<u64> {
    stub::TIME_FUNCTIONS.iter().find(|(function, _)| *function == plain(name)).map(|(_, offset)| *offset)
}

struct LoadSegment {
    offset: usize,
    virtual_address: u64,
    bytes: usize,
}

fn load_segment(image: &[u8]) -> Result<LoadSegment, BadVdso> {
    let header = program_header(image, PT_LOAD)?;
    Ok(LoadSegment {
        offset: read_u64(image, header + 8)? as usize,
        virtual_address: read_u64(image, header + 16)?,
        bytes: read_u64(image, header + 32)? as usize,
    })
}

/// Where the first program header of a type stands.
fn program_header(image: &[u8], kind: u32) -> Result<usize, BadVdso> {
    const CLASS_64_LITTLE_ENDIAN: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
    if !image.starts_with(&CLASS_64_LITTLE_ENDIAN) {
        return Err(BadVdso::Malformed("header"));
    }
    let first = read_u64(image, 32)? as usize;
    let count = usize::from(read_u16(image, 56)?);
    for index in 0..count {
        let header = first.checked_add(index * PROGRAM_HEADER_BYTES).ok_or(BadVdso::Malformed("headers"))?;
        if read_u32(image, header)? == kind {
            return Ok(header);
        }
    }
    Err(BadVdso::Malformed("segments"))
}

fn functions(image: &[u8], bias: u64) -> Result<Vec<Function>, BadVdso> {
    let dynamic = read_u64(image, program_header(image, PT_DYNAMIC)? + 8)? as usize;
    let (mut strings, mut symbols, mut hash) = (None, None, None);
    for entry in (dynamic..).step_by(DYNAMIC_BYTES) {
        let value = || Ok::<_, BadVdso>(read_u64(image, entry + 8)?.wrapping_sub(bias) as usize);
        match read_u64(image, entry)? {
            0 => break,
            DT_STRTAB => strings = Some(value()?),
            DT_SYMTAB => symbols = Some(value()?),
            DT_HASH => hash = Some(value()?),
            _ => {}
        }
    }
    let strings = strings.ok_or(BadVdso::Malformed("strings"))?;
    let symbols = symbols.ok_or(BadVdso::Malformed("symbols"))?;
    // Images without the old hash table put the strings right behind the symbols.
    let count = match hash {
        Some(hash) => read_u32(image, hash + 4)? as usize,
        None => strings.saturating_sub(symbols) / SYMBOL_BYTES,
    };
    let mut functions = Vec::new();
    for index in 0..count {
        let symbol = symbols + index * SYMBOL_BYTES;
        let kind = image.get(symbol + 4).ok_or(BadVdso::Malformed("symbols"))? & 15;
        if kind == STT_FUNC {
            let name = name(image, strings + read_u32(image, symbol)? as usize)?;
            functions.push(Function { name, value_at: symbol + 8, value: read_u64(image, symbol + 8)? });
        }
    }
    Ok(functions)
}

fn name(image: &[u8], at: usize) -> Result<String, BadVdso> {
    let bytes = image.get(at..).ok_or(BadVdso::Malformed("names"))?;
    let end = bytes.iter().position(|byte| *byte == 0).ok_or(BadVdso::Malformed("names"))?;
    Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
}

fn read_u16(image: &[u8], at: usize) -> Result<u16, BadVdso> {
    bytes(image, at).map(u16::from_le_bytes)
}

fn read_u32(image: &[u8], at: usize) -> Result<u32, BadVdso> {
    bytes(image, at).map(u32::from_le_bytes)
}

fn read_u64(image: &[u8], at: usize) -> Result<u64, BadVdso> {
    bytes(image, at).map(u64::from_le_bytes)
}

fn bytes<const N: usize>(image: &[u8], at: usize) -> Result<[u8; N], BadVdso> {
    let bytes = at.checked_add(N).and_then(|end| image.get(at..end));
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(BadVdso::Malformed("truncated"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This process's own vDSO.
    fn own() -> (Vec<u8>, u64) {
        // SAFETY: reads a number from this process's auxiliary vector.
        let address = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
        assert_ne!(address, 0);
        // SAFETY: the vDSO is mapped here, readable, for the life of the process, and longer than a page.
        let head = unsafe { std::slice::from_raw_parts(address as *const u8, 4096) };
        let length = Vdso::length(head).unwrap();
        // SAFETY: as above, for the length that its header states.
        (unsafe { std::slice::from_raw_parts(address as *const u8, length) }.to_vec(), address)
    }

    #[test]
    fn every_function_of_the_copy_leads_to_our_code_or_to_the_original() {
        let (image, address) = own();
        let vdso = Vdso::parse(image, address).unwrap();
        let at = 0x7000_0000_0000;
        let copy = vdso.skewed(at, 0x1234_5000).unwrap();
        assert_eq!(copy.len(), vdso.skewed_length());
        let bias = vdso.bias;
        let parsed = functions(&copy, bias).unwrap();
        assert!(parsed.len() >= 6, "{parsed:?}");
        for (function, original) in parsed.iter().zip(&vdso.functions) {
            let leads_to = at.wrapping_add(function.value).wrapping_sub(bias);
            let ours = at + vdso.image.len() as u64..at + copy.len() as u64;
            match plain(&function.name) {
                "clock_gettime" | "gettimeofday" | "time" => assert!(ours.contains(&leads_to)),
                _ => assert_eq!(leads_to, address.wrapping_add(original.value).wrapping_sub(bias)),
            }
        }
    }

    #[test]
    fn what_is_not_a_vdso_is_refused() {
        assert_eq!(Vdso::parse(vec![0; 4096], 0).unwrap_err(), BadVdso::Malformed("header"));
        let (image, address) = own();
        assert!(Vdso::parse(image[..400].to_vec(), address).is_err());
        let mut nameless = image;
        // Both names of the function end in these bytes of the string table.
        while let Some(at) = nameless.windows(6).position(|bytes| bytes == b"_time\0") {
            nameless[at + 1] = b'?';
        }
        let vdso = Vdso::parse(nameless, address).unwrap();
        assert_eq!(vdso.skewed(0, 0).err(), Some(BadVdso::NoFunction("time")));
    }
}
