#include "textflag.h"

#define CONSTANT(byte, x, y) \
	MOVL byte, AX;  \
	VMOVD AX, x;    \
	VPBROADCASTB x, y

// PAIRS leaves in to where a pair begins in 32 bytes, w being them and next those
// one further on.
#define PAIRS(w, next, to) \
	VPCMPEQB w, Y12, Y4;    \
	VPCMPEQB next, Y13, Y5; \
	VPCMPEQB w, Y10, Y6;    \
	VPCMPEQB next, Y11, Y7; \
	VPAND Y4, Y5, Y4;       \
	VPAND Y6, Y7, Y6;       \
	VPOR Y4, Y6, to

// func pair(w *byte, n int) int
TEXT ·pair(SB), NOSPLIT, $0-24
	MOVQ w+0(FP), SI
	MOVQ n+8(FP), CX
	CONSTANT($'t', X12, Y12)
	CONSTANT($'N', X13, Y13)
	CONSTANT($'\\', X10, Y10)
	CONSTANT($'u', X11, Y11)
	MOVQ SI, DI

block:
	VMOVDQU (SI), Y0
	VMOVDQU 1(SI), Y1
	VMOVDQU 32(SI), Y2
	VMOVDQU 33(SI), Y3
	PAIRS(Y0, Y1, Y8)
	PAIRS(Y2, Y3, Y9)
	VPOR Y8, Y9, Y0
	VPTEST Y0, Y0
	JNE found
	ADDQ $64, SI
	DECQ CX
	JNE block
	JMP done

found:
	VPMOVMSKB Y8, AX
	VPMOVMSKB Y9, BX
	SHLQ $32, BX
	ORQ BX, AX
	BSFQ AX, AX
	ADDQ AX, SI

done:
	SUBQ DI, SI
	MOVQ SI, ret+16(FP)
	VZEROUPPER
	RET
