//! The code that programs run instead of the vDSO's time functions, and where its parts are.
//!
//! It is position-independent and copied as it is behind the copy of the vDSO. In front of it stand the three
//! addresses that it needs: the real `clock_gettime` and `gettimeofday`, and the shared page. It calls the real
//! function, maps the result as `mapping.rs` does, and notes the generation it used. It keeps no state and
//! takes no lock, so signals, forks and any number of threads are welcome.

#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::{CODE, Literals, TIME_FUNCTIONS, code};

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::global_asm;
    use std::mem::offset_of;
    use std::sync::LazyLock;

    use crate::clock::layout::{Page, Slot};

    global_asm!(
        r#"
    .pushsection .rodata.squall_clock, "a", @progbits
    .balign 64
    .globl squall_clock_begin, squall_clock_end
    .globl squall_clock_clock_gettime, squall_clock_gettimeofday, squall_clock_time
    .hidden squall_clock_begin, squall_clock_end
    .hidden squall_clock_clock_gettime, squall_clock_gettimeofday, squall_clock_time
squall_clock_begin:
.Lreal_clock_gettime: .quad 0
.Lreal_gettimeofday:  .quad 0
.Lpage:               .quad 0

# int clock_gettime(clockid_t clock = edi, timespec *time = rsi)
    .balign 64
squall_clock_clock_gettime:
.Lclock_gettime:
    test edi, edi                       # CLOCK_REALTIME
    jz   1f
    cmp  edi, 5                         # CLOCK_REALTIME_COARSE
    je   1f
    jmp  [rip + .Lreal_clock_gettime]
1:  push rbx
    push rbp
    push r12
    push r13
    push r14                            # five pushes: the stack is aligned for the call
    mov  rbx, [rip + .Lpage]
    mov  ebp, edi
    mov  r12, rsi
2:  mov  r13, [rbx + {generation}]
    mov  edi, ebp
    mov  rsi, r12
    call [rip + .Lreal_clock_gettime]
    test eax, eax
    jnz  9f
    mov  r14d, r13d
    and  r14d, 1
    shl  r14d, 6
    lea  r14, [rbx + r14 + {slots}]
    cmp  qword ptr [r14 + {skewed}], 0
    jne  4f
    cmp  [rbx + {generation}], r13      # changed meanwhile: what was read may be half of two slots
    jne  2b
    cmp  [rbx + {seen}], r13
    jae  9f
    mov  [rbx + {seen}], r13
    jmp  9f
4:  mov  r8,  [r14 + {switch_at}]
    mov  r9,  [r14 + {after_value}]
    mov  r10, [r14 + {after_rate}]
    mov  r11, [r14 + {before_anchor}]
    mov  rdi, [r14 + {before_value}]
    mov  rsi, [r14 + {before_rate}]
    cmp  [rbx + {generation}], r13
    jne  2b
    cmp  [rbx + {seen}], r13
    jae  5f
    mov  [rbx + {seen}], r13
5:  imul rax, [r12], 1000000000
    add  rax, [r12 + 8]
    cmp  rax, r8
    cmovl r8, r11                       # before the switch: the earlier line
    cmovl r9, rdi
    cmovl r10, rsi
    sub  rax, r8
    imul r10                            # rdx:rax = elapsed * rate
    shrd rax, rdx, 32
    add  rax, r9
    cqo
    mov  ecx, 1000000000
    idiv rcx
    test rdx, rdx
    jns  6f
    add  rdx, rcx                       # before 1970: round down, as nanoseconds are never negative
    dec  rax
6:  mov  [r12], rax
    mov  [r12 + 8], rdx
    xor  eax, eax
9:  pop  r14
    pop  r13
    pop  r12
    pop  rbp
    pop  rbx
    ret

# int gettimeofday(timeval *time = rdi, timezone *zone = rsi)
    .balign 64
squall_clock_gettimeofday:
    test rdi, rdi
    jnz  1f
    jmp  [rip + .Lreal_gettimeofday]
1:  push rbx
    sub  rsp, 16
    mov  rbx, rdi
    test rsi, rsi
    jz   2f
    call [rip + .Lreal_gettimeofday]
    test eax, eax
    jnz  3f
2:  xor  edi, edi
    mov  rsi, rsp
    call .Lclock_gettime
    test eax, eax
    jnz  3f
    mov  rax, [rsp]
    mov  [rbx], rax
    mov  rax, [rsp + 8]
    xor  edx, edx
    mov  ecx, 1000
    div  rcx
    mov  [rbx + 8], rax
    xor  eax, eax
3:  add  rsp, 16
    pop  rbx
    ret

# time_t time(time_t *time = rdi): whole seconds of the coarse clock, as the kernel has it
    .balign 64
squall_clock_time:
    push rbx
    sub  rsp, 16
    mov  rbx, rdi
    mov  edi, 5
    mov  rsi, rsp
    call .Lclock_gettime
    mov  rax, [rsp]
    test rbx, rbx
    jz   1f
    mov  [rbx], rax
1:  add  rsp, 16
    pop  rbx
    ret
squall_clock_end:
    .popsection
"#,
        generation = const offset_of!(Page, generation),
        seen = const offset_of!(Page, seen),
        slots = const offset_of!(Page, slots),
        skewed = const offset_of!(Slot, skewed),
        switch_at = const offset_of!(Slot, switch_at),
        after_value = const offset_of!(Slot, after_value),
        after_rate = const offset_of!(Slot, after_rate),
        before_anchor = const offset_of!(Slot, before_anchor),
        before_value = const offset_of!(Slot, before_value),
        before_rate = const offset_of!(Slot, before_rate),
    );

    // SAFETY: these names are defined by the assembly above; only their addresses and, between begin and end,
    // their bytes are used.
    unsafe extern "C" {
        static squall_clock_begin: u8;
        static squall_clock_end: u8;
        static squall_clock_clock_gettime: u8;
        static squall_clock_gettimeofday: u8;
        static squall_clock_time: u8;
    }

    /// The addresses that the code needs, as they stand at its beginning.
    #[derive(Clone, Copy, Debug)]
    pub(in crate::clock) struct Literals {
        pub real_clock_gettime: u64,
        pub real_gettimeofday: u64,
        pub page: u64,
    }

    /// The code with zeros for its literals.
    pub(in crate::clock) static CODE: LazyLock<&'static [u8]> = LazyLock::new(|| {
        let begin = &raw const squall_clock_begin;
        let length = (&raw const squall_clock_end).addr() - begin.addr();
        // SAFETY: begin and end enclose one read-only object of the assembly above.
        unsafe { std::slice::from_raw_parts(begin, length) }
    });

    /// The time functions: names in the vDSO, and the offset of what takes their place in [`CODE`].
    pub(in crate::clock) static TIME_FUNCTIONS: LazyLock<[(&'static str, u64); 3]> = LazyLock::new(|| {
        let offset = |symbol: *const u8| (symbol.addr() - (&raw const squall_clock_begin).addr()) as u64;
        [
            ("clock_gettime", offset(&raw const squall_clock_clock_gettime)),
            ("gettimeofday", offset(&raw const squall_clock_gettimeofday)),
            ("time", offset(&raw const squall_clock_time)),
        ]
    });

    /// The code with its literals filled in.
    pub(in crate::clock) fn code(literals: Literals) -> Vec<u8> {
        let Literals { real_clock_gettime, real_gettimeofday, page } = literals;
        let mut code = CODE.to_vec();
        for (place, value) in code.chunks_exact_mut(8).zip([real_clock_gettime, real_gettimeofday, page]) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        code
    }
}
