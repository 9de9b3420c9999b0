#include "textflag.h"

// CONSTANT fills a vector with a byte.
#define CONSTANT(byte, x, y) \
	MOVL byte, AX;  \
	VMOVD AX, x;    \
	VPBROADCASTB x, y

// MASK gathers the highest bits of two vectors.
#define MASK(low, high, to) \
	VPMOVMSKB low, to;  \
	VPMOVMSKB high, BX; \
	SHLQ $32, BX;       \
	ORQ BX, to

// WITHIN turns the quotes in AX into the bytes from each opening one up to the
// closing one: all sums of lower bits are one product without carries.
#define WITHIN \
	VMOVQ AX, X2;                    \
	VPCLMULQDQ $0, X10, X2, X2;      \
	VMOVQ X2, AX;                    \
	XORQ R8, AX

// func braces(w *byte, n int, blocks *Block, s *State) int
//
// SI is the block's first byte, CX the blocks left, DI where its masks go. R8 is
// all ones if the block begins in a string, R9 is 1 if its first byte is escaped,
// R15 is the depth before it.
TEXT ·braces(SB), NOSPLIT, $0-40
	MOVQ w+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ blocks+16(FP), DI
	MOVQ s+24(FP), DX
	MOVQ (DX), R8
	MOVQ 8(DX), R9
	MOVQ 16(DX), R15
	CONSTANT($'"', X14, Y14)
	CONSTANT($'\\', X13, Y13)
	CONSTANT($'{', X12, Y12)
	CONSTANT($'}', X11, Y11)
	CONSTANT($'\n', X9, Y9)
	CONSTANT($',', X8, Y8)
	CONSTANT($']', X7, Y7)
	VPCMPEQB X10, X10, X10

block:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	VPCMPEQB Y0, Y14, Y2
	VPCMPEQB Y1, Y14, Y3
	MASK(Y2, Y3, R12)        // quotes
	MOVQ R12, AX
	VPCMPEQB Y0, Y13, Y4
	VPCMPEQB Y1, Y13, Y5
	VPCMPEQB Y0, Y9, Y2
	VPCMPEQB Y1, Y9, Y3
	VPOR Y4, Y2, Y2
	VPOR Y5, Y3, Y3
	VPOR Y2, Y3, Y6
	VPTEST Y6, Y6
	JNE special
	TESTQ R9, R9
	JNE special
	WITHIN                   // bytes in strings

marked:
	VPCMPEQB Y0, Y12, Y2
	VPCMPEQB Y1, Y12, Y3
	MASK(Y2, Y3, R10)        // opening braces
	VPCMPEQB Y0, Y11, Y4
	VPCMPEQB Y1, Y11, Y5
	MASK(Y4, Y5, R11)        // closing braces
	MOVQ R10, (DI)
	MOVQ R11, 8(DI)
	MOVQ R10, BX
	ORQ R11, BX
	TESTQ AX, BX
	JNE done                 // a brace in a string
	ORQ R11, R12
	SHRQ $1, R12
	BTSQ $63, R12
	NOTQ R12
	TESTQ R10, R12
	JNE done                 // behind an opening one neither a quote nor a closing one
	VPCMPEQB Y0, Y8, Y2
	VPCMPEQB Y1, Y8, Y3
	VPCMPEQB Y0, Y7, Y0
	VPCMPEQB Y1, Y7, Y1
	VPOR Y0, Y2, Y2
	VPOR Y1, Y3, Y3
	VPOR Y4, Y2, Y2
	VPOR Y5, Y3, Y3
	MASK(Y2, Y3, R12)
	SHRQ $1, R12
	BTSQ $63, R12
	NOTQ R12
	TESTQ R11, R12
	JNE done                 // behind a closing one neither , nor ] nor another one
	MOVQ R10, BX
	ORQ R11, BX
	JMI last

depth:
	POPCNTQ R10, BX
	POPCNTQ R11, R13
	MOVQ R15, R12
	ADDQ R15, BX
	SUBQ R13, R12
	CMPQ BX, 32(DX)
	JGT done
	CMPQ R12, 24(DX)
	JLT done
	SUBQ R13, BX
	MOVQ BX, R15
	SARQ $63, AX
	MOVQ AX, R8
	ADDQ $64, SI
	ADDQ $16, DI
	DECQ CX
	JNE block

done:
	MOVQ R8, (DX)
	MOVQ R9, 8(DX)
	MOVQ R15, 16(DX)
	MOVQ n+8(FP), AX
	SUBQ CX, AX
	MOVQ AX, ret+32(FP)
	VZEROUPPER
	RET

last: // The block's last byte is a brace: the byte behind it is one of the next block.
	MOVBLZX 64(SI), BX
	TESTQ R10, R10
	JMI lastOpening
	CMPL BX, $'}'
	JEQ depth
	CMPL BX, $','
	JEQ depth
	CMPL BX, $']'
	JEQ depth
	JMP done

lastOpening:
	CMPL BX, $'"'
	JEQ depth
	JMP done

// special takes the escaped quotes out of AX. In a run of backslashes every other
// one escapes the byte behind it: the borrow of a subtraction runs through it.
special:
	VPCMPEQB Y0, Y9, Y2
	VPCMPEQB Y1, Y9, Y3
	VPOR Y2, Y3, Y6
	VPTEST Y6, Y6
	JNE done                 // a line's end
	MASK(Y4, Y5, R10)        // backslashes
	MOVQ R9, R13
	NOTQ R13
	ANDQ R10, R13            // those that are not escaped by the block before
	MOVQ $0xAAAAAAAAAAAAAAAA, R11
	LEAQ (R13)(R13*1), BX
	ORQ R11, BX
	SUBQ R13, BX
	XORQ R11, BX             // those that escape, and the bytes behind runs of odd length
	MOVQ R10, R13
	ORQ R9, R13
	XORQ BX, R13             // escaped bytes
	ANDQ R10, BX
	SHRQ $63, BX
	MOVQ BX, R9
	NOTQ R13
	ANDQ R13, AX
	WITHIN
	MOVQ AX, BX
	NOTQ BX
	TESTQ R10, BX
	JNE done                 // a backslash outside of strings
	JMP marked
