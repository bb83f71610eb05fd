# The guest of the KVM probe: a boot sector that does what real guests need most, then exits through QEMU's isa-debug-exit.
#
# 1. Real mode: sleep (hlt) until the timer has interrupted three times. A KVM that runs code but delivers no
#    interrupts to a halted CPU hangs here.
# 2. Long mode: page tables, 64-bit code, an interrupt and its return (a KVM that emulates instead of executing
#    stumbles over iret).
# 3. Write 0x21 to port 0xf4: QEMU exits with (0x21 << 1) | 1 = 67.
#
# Assemble:  as --64 -o probe.o kvm-probe.S
#            ld -m elf_x86_64 -Ttext 0x7c00 --oformat binary -o probe.bin probe.o
.set page_tables, 0x1000
.set interrupts, 0x5000
.set success, 0x21
.set exit_port, 0xf4

.code16
.globl _start
_start:
  ljmp $0, $real_mode
real_mode:
  xorw %ax, %ax
  movw %ax, %ds
  movw %ax, %es
  movw %ax, %ss
  movw $0x7c00, %sp
  sti
  movw $3, %cx
wait_tick:
  movw 0x046c, %bx          # the BIOS counts timer interrupts here
sleep:
  hlt
  cmpw %bx, 0x046c
  je sleep
  loop wait_tick
  cli

  movw $page_tables, %di    # level 4 -> level 3 -> level 2 -> one page of 2 MiB, mapped one to one
  xorl %eax, %eax
  movw $0x1400, %cx
  cld
  rep stosl
  movl $(page_tables + 0x1003), page_tables
  movl $(page_tables + 0x2003), page_tables + 0x1000
  movl $0x83, page_tables + 0x2000

  movl $(handler + 0x80000), interrupts + 3 * 16
  movl $0x8e00, interrupts + 3 * 16 + 4

  movl $page_tables, %eax
  movl %eax, %cr3
  movl %cr4, %eax
  orl $0x20, %eax           # physical address extension
  movl %eax, %cr4
  movl $0xc0000080, %ecx    # EFER: long mode enable
  rdmsr
  orl $0x100, %eax
  wrmsr
  lgdt gdt_pointer
  lidt idt_pointer
  movl %cr0, %eax
  orl $0x80000001, %eax     # paging, protection
  movl %eax, %cr0
  ljmp $8, $long_mode

.code64
long_mode:
  movl $0x7c00, %esp
  xorl %eax, %eax
  int $3
  outb %al, $exit_port
stop:
  jmp stop

handler:
  movl $success, %eax
  iretq

.balign 8
gdt:
  .quad 0
  .quad 0x00209a0000000000  # 64-bit code
gdt_pointer:
  .word . - gdt - 1
  .long gdt
idt_pointer:
  .word 0xfff
  .long interrupts

.org 510
.word 0xaa55
