#include "textflag.h"

// Each frame of Go begins with a pointer to the frame of its caller, and behind that is the address to which it returns:
//
//	BP ─► caller's BP, return address      the outermost frame has 0 for its caller's
//
// It is written in assembly so that the stack cannot move meanwhile. A step that is no step up by less than a megabyte leads
// off the stack of the goroutine.

// func frameChain(pcs *[32]uintptr) int
TEXT ·frameChain(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ pcs+0(FP), DI
	MOVQ BP, SI
	XORQ AX, AX

next:
	MOVQ 8(SI), CX
	MOVQ CX, (DI)(AX*8)
	INCQ AX
	CMPQ AX, $32
	JEQ  done
	MOVQ (SI), CX
	TESTQ CX, CX
	JEQ  done
	SUBQ SI, CX
	CMPQ CX, $0x100000
	JCC  off
	ADDQ CX, SI
	JMP  next

off:
	XORQ AX, AX

done:
	MOVQ AX, ret+8(FP)
	RET
