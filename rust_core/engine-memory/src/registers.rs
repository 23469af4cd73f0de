//! The same code compiled for wider registers, chosen when it runs.
//!
//! A wheel must run on any x86-64, whose registers hold two doubles; most hold four, many eight. The
//! compiler vectorises plain loops for whatever it may assume, so a loop is compiled for each and the
//! machine asked once. No mode contracts a·b+c into one rounding: the results are the same to the
//! bit.

/// A piece of work to be compiled for several kinds of registers. `run` must be
/// `#[inline(always)]`, and so must what it calls in its loops, or it is compiled only once.
pub trait Work {
    /// What comes of it.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Does a piece of work with the widest registers that this machine has.
pub fn widest<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as knows;
        if knows!("avx512f") && knows!("avx512dq") && knows!("avx512vl") {
            // SAFETY: the machine has just said that it knows these parts of AVX-512.
            return unsafe { with_avx512(work) };
        }
        if knows!("avx2") {
            // SAFETY: the machine has just said that it knows AVX2.
            return unsafe { with_avx2(work) };
        }
    }
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512dq,avx512vl")]
fn with_avx512<W: Work>(work: W) -> W::Output {
    work.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx,avx2")]
fn with_avx2<W: Work>(work: W) -> W::Output {
    work.run()
}
